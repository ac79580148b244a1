import math
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leyden.data.sources.tables import Chunk
from leyden.data.table import cells
from leyden.data.table.cells import CellFormat, Cells
from leyden.errors import UserError

WRITTEN = CellFormat(missing=["NA"])

CELLS = st.none() | st.text(max_size=3) | st.floats().map(str)


def strings(*values):
    return pa.array(values, pa.string())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1), ("+5", 5), ("-2.5e3", -2500), ("1.", 1), (".5", 0.5), ("007", 7),
        ("inf", math.inf), ("-Infinity", -math.inf), ("1e999", math.inf), ("\N{MINUS SIGN}2", -2),
    ],
)  # fmt: skip
def test_numbers(text, number):
    assert cells.parse_numbers(strings(text)).tolist() == [number]


@pytest.mark.parametrize("text", ["abc", "1,2", "0x1", "nan", "--3", "1e", ".", "1 2", "٣"])
def test_strings_that_are_not_numbers(text):
    assert np.isnan(cells.parse_numbers(strings(text))).all()


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2000-01-02", 1),
        ("2000-01-01T12:00", 0.5),
        ("2000-01-01 12:00:00", 0.5),
        ("2000-01-01T12:00:00Z", 0.5),
        ("2000-01-01T12:00+06:00", 0.25),
        ("1999-12-31", -1),
    ],
)
def test_iso_dates_are_days_since_2000(text, days):
    assert cells.parse_dates(strings(text)).tolist() == [days]


def test_days_that_do_not_exist_are_not_dates():
    assert np.isnan(cells.parse_dates(strings("2023-02-30", "soon", "2023-13-01"))).all()


def test_dates_of_another_form():
    found = cells.parse_dates(strings("02/01/2000", "31/02/2000", "2000-01-02"), "%d/%m/%Y")

    assert found[0] == 1
    assert np.isnan(found[1:]).all()


def test_truth_values():
    words = strings("Yes", "no", "T", "FALSE", "1", "0", "1.0", "+0.00")

    assert cells.parse_truths(words).tolist() == [1, 0, 1, 0, 1, 0, 1, 0]
    assert np.isnan(cells.parse_truths(strings("maybe", "2", "01", "1.5"))).all()


def test_distinct_values_are_trimmed_and_mark_missing_cells():
    column = pa.array([" a", "a ", None, "NA", "", "b"])

    values, places = cells.find_distinct(column, WRITTEN)

    assert values.to_pylist() == ["a", "b"]
    assert places.tolist() == [0, 0, -1, -1, -1, 1]


def test_distinct_values_are_in_one_normal_form():
    column = pa.array(["Caf\N{LATIN SMALL LETTER E WITH ACUTE}", "Cafe\N{COMBINING ACUTE ACCENT}"])

    assert cells.find_distinct(column, WRITTEN).places.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("decimal", "thousands", "cell", "number"),
    [
        (",", None, "1234,5", 1234.5),
        (",", ".", "-1.234.567,8", -1234567.8),
        (",", ".", "1,5e3", 1500),
        (".", ",", "1,234,567", 1234567),
        (".", ",", "12,34,567.5", 1234567.5),  # lakhs
        (",", " ", "1\N{NO-BREAK SPACE}234,5", 1234.5),
        (".", "'", "+1'234", 1234),
        (".", ",", "1,23", math.nan),
        (",", ".", "01.02.2020", math.nan),
        (",", None, "a,b", math.nan),
        (".", None, "(5.5)", -5.5),
        (".", ",", "(1,234.5)", -1234.5),
        (".", None, "(5", math.nan),
        (".", None, "(-5)", math.nan),
    ],
)
def test_numbers_of_another_format(decimal, thousands, cell, number):
    written = CellFormat(missing=(), decimal=decimal, thousands=thousands)

    values, _ = cells.find_distinct(strings(cell), written)

    np.testing.assert_equal(cells.parse_numbers(values).item(), number)


@pytest.mark.parametrize(
    ("decimal", "thousands", "column", "example"),
    [
        (",", None, ["1.500", None, "900", "12.345.678"], "1.500"),
        (",", None, ["1.500", "1.5"], ""),
        (",", ".", ["1.500"], ""),
        (".", None, ["1.500"], ""),
        (",", None, ["0.500", "10,5"], ""),
    ],
)
def test_points_that_seem_to_separate_thousands_are_found(decimal, thousands, column, example):
    written = CellFormat(missing=(), decimal=decimal, thousands=thousands)

    assert written.find_grouped(strings(*column)) == example


def test_numbers_that_mark_missing_cells_may_be_spelled_in_any_way():
    written = CellFormat(missing=["-999", "?"], decimal=",")

    values, places = cells.find_distinct(strings("-999", "-999,00", "-9,99e2", "999", "?"), written)

    assert values.to_pylist() == ["999"]
    assert places.tolist() == [-1, -1, -1, 0, -1]


@pytest.mark.parametrize(
    ("decimal", "thousands"), [(",", ","), ("", None), (".", "0"), (",", "__")]
)
def test_separators_of_digits_are_checked(decimal, thousands):
    with pytest.raises(UserError, match=r"data\.(decimal|thousands)"):
        CellFormat(missing=(), decimal=decimal, thousands=thousands)


def keys_of(**columns):
    arrays = {name: pa.array(column, pa.string()) for name, column in columns.items()}
    rows = len(next(iter(arrays.values())))
    return cells.hash_rows(
        Cells(Chunk(columns=arrays, sources=()), WRITTEN), list(columns), rows
    ).tolist()


def test_rows_of_equal_cells_have_equal_keys():
    keys = keys_of(a=["1", "1.0", "2", "1", "+1e0"], b=["x", " x", "x", None, "x "])

    assert keys[0] == keys[1] == keys[4]
    assert len({*keys}) == 3


def test_keys_distinguish_integers_that_float64_rounds():
    assert len({*keys_of(a=[str(2**60), str(2**60 + 1), f"{2**60}.0"])}) == 2


def test_keys_distinguish_columns_and_missing_cells():
    assert len({*keys_of(a=["1", "2", "1", None], b=["2", "1", None, "1"])}) == 4
    assert keys_of(a=["NA", None, ""]) == keys_of(a=[""] * 3)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1), st.randoms(use_true_random=False))
def test_a_key_depends_on_no_other_row(rows, random):
    def keys(table):
        return keys_of(a=[row[0] for row in table], b=[row[1] for row in table])

    shuffled = [*rows, ("new", None)]
    random.shuffle(shuffled)
    whole = dict(zip(shuffled, keys(shuffled), strict=True))

    assert [whole[row] for row in rows] == keys(rows)
    assert [keys([row])[0] for row in rows] == keys(rows)


def test_further_cells_are_parsed_without_a_search_for_packages(monkeypatch):
    searched = []

    class Finder:
        @staticmethod
        def find_spec(name, *_):
            searched.append(name)

    written = CellFormat(missing=["-999"])
    cells.parse_truths(cells.find_distinct(strings("1"), written).values)  # may search once
    monkeypatch.setattr("sys.meta_path", [Finder, *sys.meta_path])

    found = cells.find_distinct(strings("1", "-999.0", "NA"), written)
    cells.parse_truths(found.values)

    assert found.places.tolist() == [0, -1, 1]
    assert searched == []

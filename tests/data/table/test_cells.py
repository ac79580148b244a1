import math

import numpy as np
import pyarrow as pa
import pytest

from leyden.data.table import cells


def strings(*values):
    return pa.array(values, pa.string())


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1), ("+5", 5), ("-2.5e3", -2500), ("1.", 1), (".5", 0.5), ("007", 7),
        ("inf", math.inf), ("-Infinity", -math.inf), ("1e999", math.inf),
    ],
)  # fmt: skip
def test_numbers(text, number):
    assert cells.numbers(strings(text)).tolist() == [number]


@pytest.mark.parametrize("text", ["abc", "1,2", "0x1", "nan", "--3", "1e", ".", "1 2", "٣"])
def test_no_numbers(text):
    assert np.isnan(cells.numbers(strings(text))).all()


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
    assert cells.dates(strings(text)).tolist() == [days]


def test_days_that_do_not_exist_are_no_dates():
    assert np.isnan(cells.dates(strings("2023-02-30", "soon", "2023-13-01"))).all()


def test_dates_of_another_form():
    found = cells.dates(strings("02/01/2000", "31/02/2000", "2000-01-02"), "%d/%m/%Y")

    assert found[0] == 1
    assert np.isnan(found[1:]).all()


def test_truths():
    assert cells.truths(strings("Yes", "no", "T", "FALSE", "1", "0")).tolist() == [1, 0, 1, 0, 1, 0]
    assert np.isnan(cells.truths(strings("1", "maybe"), cells.WORDED)).all()


def test_distinct_values_are_trimmed_and_know_what_is_missing():
    column = pa.array([" a", "a ", None, "NA", "", "b"])

    values, places = cells.distinct(column, ["NA"])

    assert values.to_pylist() == ["a", "b"]
    assert places.tolist() == [0, 0, -1, -1, -1, 1]

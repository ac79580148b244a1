import pyarrow as pa
import pytest

from leyden.data.table.cells import CellFormat, find_distinct
from leyden.data.table.columns import Column, Evidence
from leyden.data.table.hints import find_hint

MINUTES = [f"{row % 24:02}:{row * 7 % 60:02}" for row in range(40)]


def hint_for(cells):
    seen = Evidence()
    seen.add(
        find_distinct(pa.array(list(map(str, cells)), pa.string()), CellFormat(missing=["NA"]))
    )
    return find_hint(Column(name="x", kind=seen.kind, position=1), seen, missing=["NA"])


@pytest.mark.parametrize(
    ("cells", "looks", "options"),
    [
        ([f"{n},5" for n in range(40)], "numbers with a decimal comma", "'data.decimal=\",\"'"),
        ([f"{n},234,567" for n in range(1, 40)], "numbers with ','", "'data.thousands=\",\"'"),
        (
            [f"{n}.234,5" for n in range(1, 40)],
            "numbers with a decimal comma and '.' between the thousands",
            "'data.decimal=\",\"' 'data.thousands=\".\"'",
        ),
        (
            [f"0,{n}" for n in range(100, 140)],
            "numbers with a decimal comma",
            "'data.decimal=\",\"'",
        ),
        ([f"EUR {n}" for n in range(40)], "numbers with 'EUR'", "++data.columns.x=numeric:EUR"),
        ([f"{n}%" for n in range(40)], "numbers with '%'", "++data.columns.x=numeric:%"),
        ([f"{n} kg" for n in range(40)], "numbers with 'kg'", "++data.columns.x=numeric:kg"),
        (
            [f"${n},999.50" for n in range(1, 40)],
            "numbers with ',' between the thousands and with '$'",
            "'data.thousands=\",\"' '++data.columns.x=\"numeric:$\"'",
        ),
        (
            [f"{n}/12/2020" for n in range(1, 29)],
            "dates of the form %d/%m/%Y",
            "++data.columns.x=date:%d/%m/%Y",
        ),
        (
            [f"{n:02}/{n:02}/2020" for n in range(1, 12)],
            "dates of the form %d/%m/%Y or %m/%d/%Y",
            "++data.columns.x=date:%d/%m/%Y or ++data.columns.x=date:%m/%d/%Y",
        ),
        (
            ["3 Jan 2020 10:30", "14 Feb 2021 23:59"],
            "dates of the form %d %b %Y %H:%M",
            "'++data.columns.x=\"date:%d %b %Y %H:%M\"'",
        ),
        (MINUTES, "dates of the form %H:%M", "++data.columns.x=date:%H:%M"),
        (["yes", "no"] * 40 + ["?"], "yes and no", "++data.columns.x=boolean"),
        (["yes", "no", "Y"], "yes and no", "++data.columns.x=boolean"),
        (
            [*range(30), *"...."],
            "numbers except in 12% of the cells, such as '.'",
            '++data.columns.x=numeric, or \'data.missing_cells=["NA", "."]\'',
        ),
        (
            [*(f"2020-01-{n:02}" for n in range(1, 20)), "-", "-", "-", "-", "-"],
            "dates except in 21% of the cells, such as '-'",
            '++data.columns.x=date, or \'data.missing_cells=["NA", "-"]\'',
        ),
        (
            [f"2020{month:02}{day:02}" for month in range(1, 13) for day in (1, 28)],
            "dates of the form %Y%m%d",
            "++data.columns.x=date:%Y%m%d",
        ),
        (
            [2**60 + n for n in range(40)],
            "names of too many digits",
            "++data.columns.x=categorical",
        ),
        (
            [f"{time}:00.000000" for time in MINUTES],
            "dates of the form %H:%M:%S.%f",
            "++data.columns.x=date:%H:%M:%S.%f",
        ),
        ([*range(202001, 202013)], "dates of the form %Y%m", "++data.columns.x=date:%Y%m"),
        (
            [*range(13, 27), "-999.0", "-999.0", "-99", "-99"],
            "numbers in which -999.0 marks a missing cell",
            '\'data.missing_cells=["NA", "-999.0"]\'',
        ),
    ],
)
def test_columns_that_almost_parse_have_a_hint_with_the_override_that_parses_them(
    cells, looks, options
):
    hint = hint_for(cells)

    assert hint is not None
    assert hint.looks.startswith(looks)
    assert hint.options == options


@pytest.mark.parametrize(
    "cells",
    [
        ["red", "green"],
        ["Y", "N", "T"],
        ["02139", "10115"],
        ["A1", "B2", "C3"],
        ["A1", "A2", "A3"],
        ["v1.0", "v1.1"],
        [1, 2, 3],
        [*range(20), 99],
        [*range(101), 99],
        [202001, 202013, 210050, 202000],
        ["2020-01-01"],
        ["NA"],
        ["10.0.0.1", "10.0.0.2"],
        [*"abcdef", 1, 2],
        ["M", "38", "L", "S"],
    ],
)
def test_other_columns_give_no_hint(cells):
    assert hint_for(cells) is None

"""Columns that almost are numbers, dates or truth values, and the options that parse them."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.cells import UNIT, CellFormat
from leyden.data.table.columns import MOSTLY, Column, Evidence
from leyden.data.values import truth_words

if TYPE_CHECKING:
    import pyarrow as pa

ALMOST = 0.5
"""Share of the cells that have to be of a kind for the others to be suspicious."""

FEW = 3
"""Words that may be marks of missing cells; a column of more is text."""

NUMBERS = (
    (".", None, ""),
    (".", ",", "with ',' between the thousands"),
    (",", None, "with a decimal comma"),
    (",", ".", "with a decimal comma and '.' between the thousands"),
    (".", " ", "with spaces between the thousands"),
    (",", " ", "with a decimal comma and spaces between the thousands"),
    (".", "'", "with an apostrophe between the thousands"),
)
"""Decimal separator, separator of thousands, and how that is called."""

DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y",
        "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y",
        "%B %d, %Y", "%b %d %Y", "%Y.%m.%d", "%Y-%m", "%m/%Y", "%b %Y", "%B %Y")  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
CLOCKS = ("%H:%M", "%H:%M:%S", "%I:%M %p")
DATES = (*map("".join, product(DAYS, TIMES)), *CLOCKS)


@dataclass(frozen=True, kw_only=True)
class Hint:
    """What the cells of a categorical column look like.

    Attributes:
        looks: Words that follow "looks like".
        options: Arguments of the command line that parse the cells, as a shell takes them.
    """

    looks: str
    options: str

    def __str__(self) -> str:
        return f"looks like {self.looks}, but is read as categories. To parse it: {self.options}"


def find_hint(column: Column, seen: Evidence) -> Hint | None:
    """Look for a kind that the column almost is."""
    import pyarrow as pa

    if column.kind != "categorical" or not seen.sample:
        return None
    values = pa.array(list(seen.sample), pa.string())
    counts = np.array(list(seen.sample.values()), dtype=np.float64)
    return next(_hints(column, seen, values, counts / counts.sum()), None)


def _hints(
    column: Column, seen: Evidence, values: "pa.StringArray", shares: NDArray[np.float64]
) -> Iterator[Hint]:
    if seen.numbers >= MOSTLY * seen.present:
        return  # numbers with leading zeros are names
    yield from _numbers(column, values, shares)
    yield from _dates(column, values, shares)
    if truth_words(seen.words) and seen.truths >= MOSTLY * seen.present:
        yield Hint(looks="yes and no", options=column.override("boolean"))
    for kind, cells in (("numeric", seen.numbers), ("date", seen.dates)):
        if cells >= ALMOST * seen.present:
            yield _but_for(column, kind, values, cells / seen.present)


def _numbers(
    column: Column, values: "pa.StringArray", shares: NDArray[np.float64]
) -> Iterator[Hint]:
    unit = _common_unit(values)
    for (decimal, thousands, called), form in product(NUMBERS, dict.fromkeys([None, unit])):
        if not called and not form:
            continue
        written = CellFormat(missing=(), decimal=decimal, thousands=thousands)
        plain = Column(name=column.name, kind="numeric", form=form).parsed(written.plain(values))
        if shares[~np.isnan(plain)].sum() >= MOSTLY:
            marks = [called] * bool(called) + [f"with {form!r}"] * bool(form)
            options = [("decimal", decimal)] * (decimal != ".")
            options += [("thousands", thousands)] * bool(thousands)
            arguments = [shlex.quote(f'data.{name}="{mark}"') for name, mark in options]
            arguments += [column.override(f"numeric:{form}")] * bool(form)
            yield Hint(looks=f"numbers {' and '.join(marks)}", options=" ".join(arguments))


def _common_unit(values: "pa.StringArray") -> str | None:
    # Letters right before digits are a name, such as A123.
    number = re.compile(rf"[+-]?(?:({UNIT})\s|([^\w\s.,'+-]))?\s?[\d.,'\s+-]+({UNIT})?")
    found = [number.fullmatch(value) for value in values.to_pylist()]
    units = Counter(match[1] or match[2] or match[3] for match in found if match)
    return units.most_common(1)[0][0] if units else None


def _dates(column: Column, values: "pa.StringArray", shares: NDArray[np.float64]) -> Iterator[Hint]:
    first = values[:FEW]
    forms = [
        form
        for form in DATES
        if not np.isnan(_parsed(form, first)).all()
        and shares[~np.isnan(_parsed(form, values))].sum() >= MOSTLY
    ]
    if forms:
        options = " or ".join(column.override(f"date:{form}") for form in forms)
        yield Hint(looks=f"dates of the form {' or '.join(forms)}", options=options)


def _parsed(form: str, values: "pa.StringArray") -> NDArray[np.float64]:
    return Column(name="", kind="date", form=form).parsed(values)


def _but_for(column: Column, kind: str, values: "pa.StringArray", share: float) -> Hint:
    others = values.filter(np.isnan(Column(name="", kind=kind).parsed(values))).to_pylist()  # type: ignore[arg-type]
    example = f", such as {', '.join(map(repr, others[:FEW]))}" if others else ""
    options = column.override(kind)
    if len(others) <= FEW:
        options += ", or add the words to data.missing_cells"
    called = {"numeric": "numbers", "date": "dates"}[kind]
    return Hint(looks=f"{called} but for {1 - share:.0%} of the cells{example}", options=options)

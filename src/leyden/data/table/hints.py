"""Columns that almost are numbers, dates or truth values, and the options that parse them."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.cells import EXACT, UNIT, CellFormat, missing_override
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
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
CLOCKS = tuple(form.strip() for form in TIMES[1:])
DATES = (*map("".join, product(DAYS, TIMES)), *CLOCKS)

PACKED = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])?")
"""Numbers of today's centuries that are dates without separators."""

MARK = re.compile(r"-?9{2,}(\.0*)?|-9(\.0*)?")
"""Numbers that programs write for missing cells."""


@dataclass(frozen=True, kw_only=True)
class Hint:
    """What the cells of a categorical column look like.

    Attributes:
        looks: Words that follow "looks like".
        options: Arguments of the command line that parse the cells, as a shell takes them.
        read_as: What the cells are read as.
    """

    looks: str
    options: str
    read_as: str = "categories"

    def __str__(self) -> str:
        return (
            f"looks like {self.looks}, but is read as {self.read_as}. To parse it: {self.options}"
        )


def find_hint(column: Column, seen: Evidence, missing: Sequence[str]) -> Hint | None:
    """Look for a kind that a column of categories or numbers almost is.

    Args:
        column: The column as it was inferred.
        seen: What was seen of its cells.
        missing: Words that mean a missing cell.
    """
    import pyarrow as pa

    if not seen.sample:
        return None
    values = pa.array(list(seen.sample), pa.string())
    counts = np.array(list(seen.sample.values()), dtype=np.float64)
    sample = _Sample(column, seen, values, counts / counts.sum(), missing)
    if column.kind == "numeric":
        hints = _number_hints(sample)
    elif column.kind == "categorical" and seen.numbers < MOSTLY * seen.present:
        hints = _category_hints(sample)
    else:  # numbers with leading zeros are names
        return None
    return next(hints, None)


class _Sample(NamedTuple):
    """Distinct values of a column, and their shares ``(values,)`` of the cells that were seen."""

    column: Column
    seen: Evidence
    values: "pa.StringArray"
    shares: NDArray[np.float64]
    missing: Sequence[str]


def _number_hints(sample: _Sample) -> Iterator[Hint]:
    """Look for numbers that are dates or names, or mark missing cells, and for misread points."""
    column, seen, values, shares, missing = sample
    if seen.grouped:
        looks = f"numbers with '.' between the thousands, such as {seen.grouped!r}"
        options = shlex.quote('data.thousands="."')
        yield Hint(looks=looks, options=options, read_as="numbers with a decimal point")
    long = [word for word in seen.sample if word.isdecimal() and int(word) > EXACT]
    if len(long) >= MOSTLY * len(seen.sample):
        options = column.override("categorical")
        yield Hint(looks="names of too many digits", options=options, read_as="rounded numbers")
    lengths = np.array([len(value) * bool(PACKED.fullmatch(value)) for value in seen.sample])
    for form, length in (("%Y%m%d", 8), ("%Y%m", 6)):
        if np.sum(lengths == length) < FEW or shares[lengths == length].sum() < MOSTLY:
            continue
        options = column.override(f"date:{form}")
        yield Hint(looks=f"dates of the form {form}", options=options, read_as="numbers")
    marks = np.array([bool(MARK.fullmatch(value)) for value in seen.sample])
    amounts = column.parsed(values)[~marks]
    for word in filter(MARK.fullmatch, seen.sample):
        if seen.sample[word] > 1 and _is_far(float(word), amounts):
            looks = f"numbers in which {word} marks a missing cell"
            options = missing_override([*missing, word])
            yield Hint(looks=looks, options=options, read_as="another number")


def _is_far(number: float, values: NDArray[np.float64]) -> bool:
    """Return whether a number is further from all others ``(values,)`` than they are apart."""
    others = values[np.isfinite(values)]
    if len(others) < FEW:
        return False
    low, high = others.min(), others.max()
    return bool(max(low - number, number - high) > high - low)


def _category_hints(sample: _Sample) -> Iterator[Hint]:
    """Look for numbers, dates and truth values, or words that are nearly all of these."""
    column, seen, values, shares, missing = sample
    yield from _numbers(column, values, shares)
    yield from _dates(column, values, shares)
    if truth_words(seen.words) and seen.truths >= MOSTLY * seen.present:
        yield Hint(looks="yes and no", options=column.override("boolean"))
    for kind, cells in (("numeric", seen.numbers), ("date", seen.dates)):
        if cells >= ALMOST * seen.present:
            yield _but_for(column, kind, values, cells / seen.present, missing)


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


def _but_for(
    column: Column, kind: str, values: "pa.StringArray", share: float, missing: Sequence[str]
) -> Hint:
    others = values.filter(np.isnan(Column(name="", kind=kind).parsed(values))).to_pylist()  # type: ignore[arg-type]
    example = f", such as {', '.join(map(repr, others[:FEW]))}" if others else ""
    options = column.override(kind)
    if len(others) <= FEW:
        options += f", or {missing_override([*missing, *others])}"
    called = {"numeric": "numbers", "date": "dates"}[kind]
    return Hint(looks=f"{called} but for {1 - share:.0%} of the cells{example}", options=options)

"""Hints about columns that are nearly numbers, dates or truth values."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.cells import (
    EXACT,
    UNIT,
    CellFormat,
    missing_override,
    parse_dates,
    parse_numbers,
)
from leyden.data.table.columns import MOSTLY, Column, Evidence
from leyden.data.values import truth_words

if TYPE_CHECKING:
    import pyarrow as pa

ALMOST = 0.5
"""Minimum share of cells of one kind for a hint that the other cells are not of that kind."""

FEW = 3
"""Maximum number of words that may mark missing cells; a column with more holds text."""

NUMBERS = (
    (".", None, ""),
    (".", ",", "with ',' between the thousands"),
    (",", None, "with a decimal comma"),
    (",", ".", "with a decimal comma and '.' between the thousands"),
    (".", " ", "with spaces between the thousands"),
    (",", " ", "with a decimal comma and spaces between the thousands"),
    (".", "'", "with an apostrophe between the thousands"),
)
"""Decimal separator, separator of thousands, and description of each format of numbers."""

DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y",
        "%m/%d/%y", "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y",
        "%B %d, %Y", "%b %d %Y", "%Y.%m.%d", "%Y-%m", "%m/%Y", "%b %Y", "%B %Y")  # fmt: skip
TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
CLOCKS = tuple(form.strip() for form in TIMES[1:])
DATES = (*map("".join, product(DAYS, TIMES)), *CLOCKS)
"""Formats of dates and times that are tried."""

PACKED = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])?")
"""Dates of the 20th and 21st century without separators."""

MARK = re.compile(r"-?9{2,}(\.0*)?|-9(\.0*)?")
"""Numbers that often mark missing cells."""


@dataclass(frozen=True, kw_only=True)
class Hint:
    """Hint that the cells of a column look like another kind than they are read as.

    Attributes:
        looks: Description of what the cells look like.
        options: Overrides that parse the cells accordingly, quoted for a shell.
        read_as: Description of what the cells are read as.

    Example:
        >>> str(Hint(looks="dates", options="data.columns.born=date"))
        'looks like dates, but is read as categories. To parse it: data.columns.born=date'
    """

    looks: str
    options: str
    read_as: str = "categories"

    def __str__(self) -> str:
        return (
            f"looks like {self.looks}, but is read as {self.read_as}. To parse it: {self.options}"
        )


def find_hint(column: Column, seen: Evidence, missing: Sequence[str]) -> Hint | None:
    """Return a hint about a column of categories or numbers, or ``None``.

    Args:
        column: Column with its inferred kind.
        seen: Evidence of the column.
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
    else:  # numbers with leading zeros are categories on purpose
        return None
    return next(hints, None)


class _Sample(NamedTuple):
    """Distinct values of a column, and their shares ``(values,)`` of the cells in the sample."""

    column: Column
    seen: Evidence
    values: "pa.StringArray"
    shares: NDArray[np.float64]
    missing: Sequence[str]

    def are_mostly(self, mask: NDArray[np.bool_]) -> bool:
        """Whether nearly all cells have a value in a mask ``(values,)``."""
        return bool(self.shares[mask].sum() >= MOSTLY)


def _number_hints(sample: _Sample) -> Iterator[Hint]:
    """Yield hints about numbers that are dates, names or marks of missing cells, or misread."""
    column, seen = sample.column, sample.seen
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
        if np.sum(lengths == length) >= FEW and sample.are_mostly(lengths == length):
            options = column.override(f"date:{form}")
            yield Hint(looks=f"dates of the form {form}", options=options, read_as="numbers")
    marks = np.array([bool(MARK.fullmatch(value)) for value in seen.sample])
    others = column.parse(sample.values)[~marks]
    for word in filter(MARK.fullmatch, seen.sample):
        if seen.sample[word] > 1 and _is_far(float(word), others):
            looks = f"numbers in which {word} marks a missing cell"
            options = missing_override([*sample.missing, word])
            yield Hint(looks=looks, options=options, read_as="another number")


def _is_far(number: float, values: NDArray[np.float64]) -> bool:
    """Whether a number is further from all others ``(values,)`` than they are from each other."""
    others = values[~np.isnan(values)]
    if len(others) < FEW:
        return False
    low, high = others.min(), others.max()
    return bool(max(low - number, number - high) > high - low)


def _category_hints(sample: _Sample) -> Iterator[Hint]:
    """Yield hints about numbers, dates and truth values, even if a few cells are something else."""
    seen = sample.seen
    yield from _format_hints(sample)
    yield from _date_hints(sample)
    if truth_words(seen.words) and seen.truths >= MOSTLY * seen.present:
        yield Hint(looks="yes and no", options=sample.column.override("boolean"))
    if seen.numbers >= ALMOST * seen.present:
        others = np.isnan(parse_numbers(sample.values))
        yield _exceptions_hint(sample, "numeric", "numbers", seen.numbers, others)
    if seen.dates >= ALMOST * seen.present:
        others = np.isnan(parse_dates(sample.values))
        yield _exceptions_hint(sample, "date", "dates", seen.dates, others)


def _format_hints(sample: _Sample) -> Iterator[Hint]:
    """Yield hints about numbers in the formats of ``NUMBERS``, with and without a unit."""
    column, values = sample.column, sample.values
    units = dict.fromkeys([None, _common_unit(values)])
    for (decimal, thousands, separators), unit in list(product(NUMBERS, units))[1:]:
        written = CellFormat(missing=(), decimal=decimal, thousands=thousands)
        plain = Column(name=column.name, kind="numeric", form=unit).parse(written.respell(values))
        if not sample.are_mostly(~np.isnan(plain)):
            continue
        options = [
            shlex.quote(f'data.{name}="{mark}"')
            for name, mark, default in (("decimal", decimal, "."), ("thousands", thousands, None))
            if mark != default
        ]
        marks = [separators] if separators else []
        if unit:
            options.append(column.override(f"numeric:{unit}"))
            marks.append(f"with {unit!r}")
        yield Hint(looks=f"numbers {' and '.join(marks)}", options=" ".join(options))


def _common_unit(values: "pa.StringArray") -> str | None:
    """Return the most frequent unit of numbers, or ``None``."""
    # Letters right before digits are a name, such as A123.
    number = re.compile(rf"[+-]?(?:({UNIT})\s|([^\w\s.,'+-]))?\s?[\d.,'\s+-]+({UNIT})?")
    found = [number.fullmatch(value) for value in values.to_pylist()]
    units = Counter(match[1] or match[2] or match[3] for match in found if match)
    return units.most_common(1)[0][0] if units else None


def _date_hints(sample: _Sample) -> Iterator[Hint]:
    first = sample.values[:FEW]
    forms = [
        form
        for form in DATES
        if not np.isnan(parse_dates(first, form)).all()
        and sample.are_mostly(~np.isnan(parse_dates(sample.values, form)))
    ]
    if forms:
        options = " or ".join(sample.column.override(f"date:{form}") for form in forms)
        yield Hint(looks=f"dates of the form {' or '.join(forms)}", options=options)


def _exceptions_hint(
    sample: _Sample, kind: str, plural: str, cells: int, others: NDArray[np.bool_]
) -> Hint:
    """Return the hint about a column with a few cells that are not of the kind of the others."""
    words = sample.values.filter(others).to_pylist()
    example = f", such as {', '.join(map(repr, words[:FEW]))}" if words else ""
    options = sample.column.override(kind)
    if len(words) <= FEW:
        options += f", or {missing_override([*sample.missing, *words])}"
    share = 1 - cells / sample.seen.present
    return Hint(looks=f"{plural} except in {share:.0%} of the cells{example}", options=options)

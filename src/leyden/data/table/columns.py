"""The kinds of columns: declared, or inferred from every cell of the table."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.cells import (
    Distinct,
    have_leading_zeros,
    parse_dates,
    parse_numbers,
    parse_truths,
)
from leyden.data.values import FALSE, FAMILIES, TRUE, canonical, matcher, merge_equal, truth_words
from leyden.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

ColumnKind = Literal["numeric", "categorical", "boolean", "date", "ignored"]
KINDS: tuple[str, ...] = get_args(ColumnKind)

FORMED = ("date", "numeric")
"""Kinds that may be declared together with a format."""

LARGEST = np.finfo(np.float32).max
"""Largest value that is parsed as a number, because network inputs are float32."""

MOSTLY = 0.95
"""Minimum share of numbers or dates among the cells of a column of that kind."""

MOST_CLASSES = 20
"""Maximum number of distinct integers in a target that is inferred to hold classes."""

SAMPLE = 500
"""Number of distinct values of a column that are kept as evidence."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table, and how its cells are read.

    Attributes:
        name: Name in the file.
        kind: Kind of its cells; numeric, boolean and date ones become numbers.
        form: Format of dates for ``strptime``, or the unit that is written beside each number,
            such as ``%``; ``None`` for ISO 8601, or no unit.
        position: Number of the column in the file, from 1.
    """

    name: str
    kind: ColumnKind
    form: str | None = None
    position: int = field(default=0, compare=False)

    @classmethod
    def from_declaration(cls, name: str, kind: str, position: int = 0) -> "Column":
        """Build a column from its kind in a config: a kind, ``date:FORM`` or ``numeric:UNIT``.

        Raises:
            UserError: If there is no such kind.
        """
        kind, _, form = kind.partition(":")
        if kind not in KINDS or (form and kind not in FORMED):
            raise UserError(
                f"data.columns.{name}={kind} is not a kind of column. Expected one of "
                f"{', '.join(KINDS)}, date:FORM such as date:%d/%m/%Y, or numeric:UNIT such as "
                f"numeric:%.{did_you_mean(kind, KINDS)}"
            )
        return cls(name=name, kind=kind, form=form or None, position=position)  # type: ignore[arg-type]

    @property
    def is_number(self) -> bool:
        """Whether its cells become numbers."""
        return self.kind in ("numeric", "boolean", "date")

    @property
    def expected(self) -> str:
        """Description of the cells of a column of numbers, for messages."""
        words = {"numeric": "numbers", "boolean": "yes and no", "date": "dates"}[self.kind]
        return f"{words} such as {self.form}" if self.form else words

    @property
    def declaration(self) -> str:
        """Kind as a config declares it; the inverse of ``from_declaration``."""
        return f"{self.kind}:{self.form}" if self.form else self.kind

    def override(self, kind: str) -> str:
        """Return the override that declares a kind of this column, quoted for a shell.

        Keys of overrides are ASCII, and a dot in one begins a nested key; other names are replaced
        by ``column_`` and the position.

        Example:
            >>> Column(name="age", kind="categorical").override("numeric")
            '++data.columns.age=numeric'
        """
        value = (
            kind
            if re.fullmatch(r"[\w:%/.-]+", kind, re.ASCII)
            else json.dumps(kind, ensure_ascii=False)
        )
        if re.fullmatch(r"[a-zA-Z_][\w-]*|0|[1-9]\d*", self.name, re.ASCII):
            return shlex.quote(f"++data.columns.{self.name}={value}")
        if re.fullmatch(r"[a-zA-Z][\w .%*@?|()\[\]{}:=,+/-]*", self.name, re.ASCII):
            key = re.sub(r"[()\[\]{}:=,]", r"\\\g<0>", self.name)
            return shlex.quote(f"++data.columns={{{key}:{value}}}")
        return shlex.quote(f"++data.columns.column_{self.position}={value}")

    def parse(self, values: "pa.StringArray") -> NDArray[np.float64]:
        """Parse the strings of a column of numbers.

        Args:
            values: Distinct strings ``(values,)``.

        Returns:
            Numbers ``(values,)``, dates in days since 2000; NaN for strings of another kind, and
            for numbers that float32 cannot represent.
        """
        parsed = self._parse(values)
        parsed[np.abs(parsed) > LARGEST] = np.nan
        return parsed

    def _parse(self, values: "pa.StringArray") -> NDArray[np.float64]:
        import pyarrow.compute as pc

        if self.kind == "date":
            return parse_dates(values, self.form)
        if self.kind == "boolean":
            return parse_truths(values)
        if self.form:
            unit = re.escape(self.form)
            values = pc.replace_substring_regex(values, rf"^([+-]?)\s*{unit}\s*", r"\1")
            values = pc.replace_substring_regex(values, rf"\s*{unit}$", "")
        return parse_numbers(values)


@dataclass(kw_only=True)
class Evidence:
    """Counts of the cells of a column by kind; a cell may count for several kinds.

    Attributes:
        present: Number of cells that are not missing.
        numbers: Number of cells that are numbers.
        padded: Number of cells that are numbers with leading zeros.
        whole: Number of cells that are integers.
        worded: Number of cells that are words for true and false, without 1 and 0.
        truths: Number of cells that are words for true and false, or 1 and 0.
        dates: Number of cells that are dates in ISO 8601.
        words: Distinct words for true and false, in lower case.
        sample: Number of cells by value, of the first ``SAMPLE`` values.
        grouped: A number whose point seems to be an undeclared separator of thousands.
    """

    present: int = 0
    numbers: int = 0
    padded: int = 0
    whole: int = 0
    worded: int = 0
    truths: int = 0
    dates: int = 0
    words: set[str] = field(default_factory=set)
    sample: Counter[str] = field(default_factory=Counter)
    grouped: str = ""

    def add(self, column: Distinct, *, grouped: str = "") -> None:
        """Count the cells of a chunk.

        Args:
            column: Cells of the column.
            grouped: Number that ``CellFormat.find_grouped`` returns for them.
        """
        self.grouped = self.grouped or grouped
        values, places = column
        counts = np.bincount(places[places >= 0], minlength=len(values))
        numbers, truths = parse_numbers(values), parse_truths(values)
        self.present += int(counts.sum())
        self.numbers += int(counts[~np.isnan(numbers)].sum())
        self.padded += int(counts[have_leading_zeros(values)].sum())
        self.whole += int(counts[numbers == np.round(numbers)].sum())
        self.worded += int(counts[~np.isnan(truths) & np.isnan(numbers)].sum())
        self.truths += int(counts[~np.isnan(truths)].sum())
        if self.numbers < self.present:
            self.dates += int(counts[~np.isnan(parse_dates(values))].sum())
        worded = values.filter(~np.isnan(truths))
        self.words.update(canonical(text).lower() for text in worded.to_pylist())
        for text, count in zip(values[:SAMPLE].to_pylist(), counts.tolist(), strict=False):
            if text in self.sample or len(self.sample) < SAMPLE:
                self.sample[text] += count

    @property
    def kind(self) -> ColumnKind:
        """Kind that fits best; a column without cells is ignored."""
        if self.present == 0:
            return "ignored"
        if self.worded == self.present and any(self.words <= {*pair} for pair in FAMILIES):
            return "boolean"
        if self.numbers - self.padded >= MOSTLY * self.present:
            return "numeric"
        return "date" if self.dates >= MOSTLY * self.present else "categorical"

    @property
    def is_class(self) -> bool:
        """Whether the column as a target holds classes rather than numbers."""
        few = self.whole == self.present and len({*map(canonical, self.sample)}) <= MOST_CLASSES
        return self.kind in ("boolean", "categorical") or few

    @property
    def spellings(self) -> Mapping[str, str]:
        """Representative of each word for true or false; empty if other cells occur."""
        boolean = self.truths == self.present and truth_words(self.words)
        return merge_equal(sorted(self.words)) if boolean else {}


def load_columns(facts: Mapping[str, Any]) -> list[Column]:
    """Return the columns in the facts of a cache, or in fitted statistics."""
    return [Column(**column) for column in facts["columns"]]


def split_columns(columns: Iterable[Column]) -> tuple[list[Column], list[Column]]:
    """Return the columns of the arrays ``numbers`` and ``categories``, without ignored ones."""
    used = [column for column in columns if column.kind != "ignored"]
    return [c for c in used if c.is_number], [c for c in used if not c.is_number]


def describe_columns(columns: Iterable[Column]) -> str:
    """List the names of columns by kind, for the log.

    Example:
        >>> describe_columns([Column(name="age", kind="numeric"), Column(name="x", kind="date")])
        'numeric: age; date: x'
    """
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for column in columns:
        by_kind[column.kind].append(column.name)
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by_kind.items() if names)


def no_known_cell(column: Column, expected: str, example: str) -> UserError:
    """Return the error of a column whose cells are all unknown.

    Args:
        column: The column.
        expected: Description of known cells.
        example: Cell of the column.
    """
    kind = "boolean" if example.lower() in TRUE | FALSE else "categorical"
    other = f", or train with another kind: {column.override(kind)}"
    return UserError(
        f"No cell of the column {column.name} is known: expected {expected}, got {example!r}. "
        f"Write the cells like that or leave them empty{other if column.is_number else '.'}"
    )


def find_column(name: Any, names: Sequence[str]) -> str | None:
    """Return the column that a name in a config means, or ``None``.

    An override reads some names as numbers or truth values, and cannot hold every name as a key:
    ``column_3`` is the third column unless a column has this name.

    Example:
        >>> find_column(1, ["1.0", "b"]), find_column("column_2", ["a", "b"])
        ('1.0', 'b')
    """
    if name in names:
        return str(name)
    position = re.fullmatch(r"column_([1-9]\d*)", str(name))
    if position and int(position[1]) <= len(names):
        return names[int(position[1]) - 1]
    return matcher(names)(str(name))

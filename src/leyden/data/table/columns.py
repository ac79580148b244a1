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

from leyden.data.table import cells
from leyden.data.table.cells import Distinct
from leyden.data.values import FALSE, FAMILIES, TRUE, canonical, matcher, merged, truth_words
from leyden.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["numeric", "categorical", "boolean", "date", "ignored"]
KINDS: tuple[str, ...] = get_args(Kind)

FORMED = ("date", "numeric")
"""Kinds that may be declared with a form."""

MOSTLY = 0.95
"""Share of a column's cells that have to be numbers, or dates, for it to be such a column."""

MOST_CLASSES = 20
"""Whole numbers of so many values at most are taken for classes if they are the target."""

SAMPLE = 500
"""Distinct values of a column that are kept as evidence."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One input column, or a target.

    Attributes:
        name: Name in the file.
        kind: How its cells are read; numeric, boolean and date ones become numbers.
        form: Format of dates for ``strptime``, ISO 8601 by default; or the unit that is written
            beside each number, such as ``%``.
        position: Number of the column in the file, from 1.
    """

    name: str
    kind: Kind
    form: str | None = None
    position: int = field(default=0, compare=False)

    @classmethod
    def declared(cls, name: str, kind: str, position: int = 0) -> "Column":
        """Make a column of what a config says: a kind, ``date:FORM`` or ``numeric:UNIT``.

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
        """What cells of a column of numbers hold, for people."""
        words = {"numeric": "numbers", "boolean": "yes and no", "date": "dates"}[self.kind]
        return f"{words} such as {self.form}" if self.form else words

    @property
    def declaration(self) -> str:
        """The text that ``declared`` makes this column of."""
        return f"{self.kind}:{self.form}" if self.form else self.kind

    def override(self, kind: str) -> str:
        """Return the argument of a command line that declares another kind, quoted for a shell.

        Keys of the command line are ASCII, and a dot in one begins a nested key.
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

    def parsed(self, values: "pa.StringArray") -> NDArray[np.float64]:
        """Parse distinct strings ``(values,)``; NaN for those that are not of the kind."""
        import pyarrow.compute as pc

        if self.kind == "date":
            return cells.dates(values, self.form)
        if self.kind == "boolean":
            return cells.truths(values)
        if self.form:
            unit = re.escape(self.form)
            values = pc.replace_substring_regex(values, rf"^([+-]?)\s*{unit}\s*", r"\1")
            values = pc.replace_substring_regex(values, rf"\s*{unit}$", "")
        return cells.numbers(values)


@dataclass(kw_only=True)
class Evidence:
    """What has been seen of a column; a cell may count for several kinds.

    Attributes:
        present: Cells that are not missing.
        numbers: Numbers among them.
        padded: Numbers with leading zeros.
        whole: Whole numbers.
        worded: Words for true and false that are not numbers.
        truths: Words for true and false, 1 and 0 among them.
        dates: Dates in ISO 8601.
        words: The distinct words for true and false, in lower case.
        sample: Some distinct cells, and how often each was counted.
        grouped: A number whose point seems to separate thousands although it is not given.
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
        """Look at the cells of a chunk."""
        self.grouped = self.grouped or grouped
        values, places = column
        counts = np.bincount(places[places >= 0], minlength=len(values))
        parsed, truths = cells.numbers(values), cells.truths(values)
        self.present += int(counts.sum())
        self.numbers += int(counts[~np.isnan(parsed)].sum())
        self.padded += int(counts[cells.padded(values)].sum())
        self.whole += int(counts[parsed == np.round(parsed)].sum())
        self.worded += int(counts[~np.isnan(truths) & np.isnan(parsed)].sum())
        self.truths += int(counts[~np.isnan(truths)].sum())
        if self.numbers < self.present:
            self.dates += int(counts[~np.isnan(cells.dates(values))].sum())
        worded = values.filter(~np.isnan(truths))
        self.words.update(canonical(text).lower() for text in worded.to_pylist())
        for text, count in zip(values[:SAMPLE].to_pylist(), counts.tolist(), strict=False):
            if text in self.sample or len(self.sample) < SAMPLE:
                self.sample[text] += count

    @property
    def kind(self) -> Kind:
        """The kind that fits best; a column without any cell is ignored."""
        if self.present == 0:
            return "ignored"
        if self.worded == self.present and any(self.words <= {*pair} for pair in FAMILIES):
            return "boolean"
        if self.numbers - self.padded >= MOSTLY * self.present:
            return "numeric"
        return "date" if self.dates >= MOSTLY * self.present else "categorical"

    @property
    def is_class(self) -> bool:
        """Whether, as a target, it names classes rather than amounts."""
        few = self.whole == self.present and len({*map(canonical, self.sample)}) <= MOST_CLASSES
        return self.kind in ("boolean", "categorical") or few

    @property
    def spellings(self) -> Mapping[str, str]:
        """The word that represents each word for true or false, if the cells are nothing else."""
        boolean = self.truths == self.present and truth_words(self.words)
        return merged(sorted(self.words)) if boolean else {}


def described(columns: Iterable[Column]) -> str:
    """List columns by kind, for the log."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for column in columns:
        by_kind[column.kind].append(column.name)
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by_kind.items() if names)


def no_known_cell(column: Column, expected: str, example: str) -> UserError:
    """Return a message on a column in which no cell is known."""
    kind = "boolean" if example.lower() in TRUE | FALSE else "categorical"
    other = f", or train with another kind: {column.override(kind)}"
    return UserError(
        f"No cell of the column {column.name} is known: expected {expected}, got {example!r}. "
        f"Write the cells like that or leave them empty{other if column.is_number else '.'}"
    )


def find_column(name: Any, names: Sequence[str]) -> str | None:
    """Return the column of a name as a config gives it, or ``None``.

    A command line reads some names as numbers or truth values, and cannot hold every name as a
    key: ``column_3`` is the third column if no column is called so.
    """
    if name in names:
        return str(name)
    position = re.fullmatch(r"column_([1-9]\d*)", str(name))
    if position and int(position[1]) <= len(names):
        return names[int(position[1]) - 1]
    return matcher(names)(str(name))

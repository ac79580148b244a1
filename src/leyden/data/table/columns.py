"""The kinds of columns: declared, or inferred from every cell of the table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from leyden.data.table import cells
from leyden.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["numeric", "categorical", "boolean", "date", "ignored"]
KINDS: tuple[str, ...] = get_args(Kind)

MOSTLY = 0.95
"""Share of a column's cells that have to be numbers, or dates, for it to be such a column."""

MOST_CLASSES = 20
"""Whole numbers of so many values at most are taken for classes where they are the target."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One input column.

    Attributes:
        name: as the file calls it.
        kind: how its cells are read; numeric, boolean and date ones become numbers.
        form: of dates, as for ``strptime``; ``None`` is ISO 8601.
    """

    name: str
    kind: Kind
    form: str | None = None

    @classmethod
    def declared(cls, name: str, kind: str) -> "Column":
        """Make a column of what a config says: a kind, or ``date:`` and a form.

        Raises:
            UserError: there is no such kind.
        """
        kind, _, form = kind.partition(":")
        if kind not in KINDS or (form and kind != "date"):
            raise UserError(
                f"data.columns.{name}={kind} is no kind of column. Expected one of "
                f"{', '.join(KINDS)}, or date:FORM such as date:%d/%m/%Y."
                f"{did_you_mean(kind, KINDS)}"
            )
        return cls(name=name, kind=kind, form=form or None)  # type: ignore[arg-type]

    @property
    def is_number(self) -> bool:
        """Tell whether its cells become numbers."""
        return self.kind in ("numeric", "boolean", "date")

    def parsed(self, values: "pa.StringArray") -> NDArray[np.float64]:
        """Parse distinct strings ``(values,)``; NaN where one is not of the kind."""
        if self.kind == "date":
            return cells.dates(values, self.form)
        if self.kind == "boolean":
            return cells.truths(values)
        return cells.numbers(values)


@dataclass(kw_only=True)
class Evidence:
    """What has been seen of a column; a cell may count for several kinds."""

    present: int = 0
    numbers: int = 0
    padded: int = 0
    whole: int = 0
    truths: int = 0
    truths_or_bits: int = 0
    dates: int = 0
    values: set[str] = field(default_factory=set)

    def add(self, column: "pa.StringArray", missing: Sequence[str]) -> None:
        """Look at the cells ``(rows,)`` of a chunk."""
        values, places = cells.distinct(column, missing)
        counts = np.bincount(places[places >= 0], minlength=len(values))
        parsed = cells.numbers(values)
        self.present += int(counts.sum())
        self.numbers += int(counts[~np.isnan(parsed)].sum())
        self.padded += int(counts[cells.padded(values)].sum())
        self.whole += int(counts[parsed == np.round(parsed)].sum())
        self.truths += int(counts[~np.isnan(cells.truths(values, cells.WORDED))].sum())
        self.truths_or_bits += int(counts[~np.isnan(cells.truths(values))].sum())
        if self.numbers < self.present:
            self.dates += int(counts[~np.isnan(cells.dates(values))].sum())
        if len(self.values) <= MOST_CLASSES:
            self.values.update(values.to_pylist())

    @property
    def kind(self) -> Kind:
        """The kind that fits best; a column without any cell is ignored."""
        if self.present == 0:
            return "ignored"
        if self.truths == self.present:
            return "boolean"
        if self.numbers - self.padded >= MOSTLY * self.present:
            return "numeric"
        return "date" if self.dates >= MOSTLY * self.present else "categorical"

    @property
    def is_class(self) -> bool:
        """Tell whether, as a target, it names classes rather than amounts."""
        few = self.whole == self.present and len(self.values) <= MOST_CLASSES
        return self.kind in ("boolean", "categorical") or few


def described(columns: Iterable[Column]) -> str:
    """List columns by kind, for the log."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for column in columns:
        by_kind[column.kind].append(column.name)
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by_kind.items() if names)


def as_plain(columns: Iterable[Column]) -> list[dict[str, Any]]:
    """Give columns as plain containers, for caches and checkpoints."""
    return [vars(column) for column in columns]

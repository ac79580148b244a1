"""The columns that are not inputs: targets, groups and times."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leyden.data.table import cells
from leyden.data.table.cells import Cells, Distinct
from leyden.data.table.columns import Column, Evidence
from leyden.data.table.encoding import LARGEST
from leyden.data.values import merged
from leyden.errors import UserError

TargetType = Literal["auto", "class", "number"]

ReadTargets = Callable[[Cells], NDArray[Any]]
"""Returns names ``(rows,)``, empty if missing, numbers, NaN if missing, or truth values."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which columns say what is to be learnt and which rows belong together.

    Attributes:
        targets: one column, or several of truths, one per label.
        target_type: what a single one holds; ``auto`` looks at its cells.
        label_separator: between the labels of a row, where a single column holds several.
        group: rows of one value stay in one split.
        time: dates or numbers that order the rows, to split by.
    """

    targets: tuple[str, ...]
    target_type: TargetType
    label_separator: str | None
    group: str | None
    time: str | None

    def __post_init__(self) -> None:
        if self.group and self.time:
            raise ValueError("group and time both split the rows: give one of them")
        if self.group in self.targets:
            raise UserError(
                f"data.group={self.group} is the target, so that no class of the test split would "
                "be known. Give another column, or leave data.group=null."
            )
        if self.label_separator and len(self.targets) > 1:
            raise ValueError("label_separator parts one target column, but target lists several")

    @property
    def names(self) -> list[str]:
        """The columns that have a role."""
        others = [name for name in (self.group, self.time) if name]
        return list(dict.fromkeys([*self.targets, *others]))

    @property
    def required(self) -> list[str]:
        """The columns without which a row is of no use; a row may have none of several labels."""
        optional = self.targets if self.label_separator else ()
        return [name for name in self.names if name not in optional]

    @property
    def has_labels(self) -> bool:
        """Tell whether a row may have several labels."""
        return len(self.targets) > 1 or self.label_separator is not None

    def labels(self, chunk: Cells) -> set[str]:
        """Collect the labels of a chunk, if one column holds several."""
        if self.label_separator is None:
            return set()
        values = chunk[self.targets[0]].values
        return {label for value in values.to_pylist() for label in self._parted(value)}

    def label_names(self, labels: set[str]) -> list[str]:
        """List the names of the labels; those that are equal have one name."""
        if self.label_separator is None:
            return sorted(self.targets)
        return sorted({*merged(sorted(labels)).values()})

    def reader(self, target: Column, seen: Mapping[str, Evidence], labels: set[str]) -> ReadTargets:
        """Choose how targets are read, once all cells have been looked at.

        Args:
            target: The first target column.
            seen: What was seen of each target column.
            labels: All labels as they are written, if one column holds several.

        Raises:
            UserError: If the target columns do not hold what they have to.
        """
        if self.label_separator is not None:
            number = self._label_numbers(labels)
            return lambda chunk: self._parted_labels(chunk[target.name], number)
        if len(self.targets) > 1:
            self._check_truths(seen)
            return self._truths
        if seen[target.name].present == 0:
            raise UserError(f"The target {target.name!r} has no cell that is not missing.")
        if self._is_class(target, seen[target.name]):
            return lambda chunk: _names(chunk[target.name])
        return lambda chunk: _numbers(target, chunk[target.name])

    def groups(self, chunk: Cells) -> NDArray[np.str_] | None:
        """Return the group ``(rows,)`` of each row, empty if it has none."""
        return _names(chunk[self.group]) if self.group else None

    def times(self, column: Column, chunk: Cells) -> NDArray[np.float64]:
        """Return what orders the rows ``(rows,)``: days or numbers, NaN if there is none.

        Raises:
            UserError: If the column holds neither dates nor numbers.
        """
        if column.kind not in ("date", "numeric"):
            raise UserError(
                f"data.time={column.name} names a column that is {column.kind}. Expected dates or "
                f"numbers; give the format of dates with {column.override('date:FORM')}, such as "
                "date:%d/%m/%Y."
            )
        return _numbers(column, chunk[column.name])

    def _is_class(self, target: Column, seen: Evidence) -> bool:
        if self.target_type == "auto":
            return seen.is_class
        if self.target_type == "number" and not target.form and seen.numbers + seen.dates == 0:
            raise UserError(
                f"data.target_type=number, but the target {target.name!r} holds no number. "
                "Leave data.target_type=auto to learn classes."
            )
        return self.target_type == "class"

    def _check_truths(self, seen: Mapping[str, Evidence]) -> None:
        for name in self.targets:
            if seen[name].truths < seen[name].present:
                raise UserError(
                    f"The target column {name!r} holds more than yes and no. Several target "
                    "columns are labels that a row has or has not: expected 0 and 1, or true and "
                    "false. Give one column as data.target=NAME to learn classes or a number."
                )

    def _truths(self, chunk: Cells) -> NDArray[np.float64]:
        columns = [chunk[name] for name in self.label_names(set())]
        return np.stack([c.spread(cells.truths(c.values), np.nan) for c in columns], axis=1)

    def _label_numbers(self, labels: set[str]) -> dict[str, int]:
        names = self.label_names(labels)
        return {label: names.index(name) for label, name in merged(sorted(labels)).items()}

    def _parted_labels(self, column: Distinct, number: Mapping[str, int]) -> NDArray[np.bool_]:
        """Return truth values ``(rows, labels)``; a missing cell holds no label."""
        held = np.zeros((len(column.values) + 1, len({*number.values()})), dtype=bool)
        for row, value in enumerate(column.values.to_pylist()):
            held[row, [number[label] for label in self._parted(value)]] = True
        return held[column.places]

    def _parted(self, cell: str) -> list[str]:
        return [label.strip() for label in cell.split(self.label_separator) if label.strip()]


def _names(column: Distinct) -> NDArray[np.str_]:
    names = np.array([*column.values.to_pylist(), ""], dtype=np.str_)
    return np.asarray(names[column.places])


def _numbers(column: Column, found: Distinct) -> NDArray[np.float64]:
    parsed = column.parsed(found.values)
    parsed[np.abs(parsed) > LARGEST] = np.nan
    return found.spread(parsed, np.nan)

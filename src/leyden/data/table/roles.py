"""The columns that are not inputs: targets, groups and times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.cells import Cells, Distinct, parse_truths
from leyden.data.table.columns import Column, Evidence
from leyden.data.values import merge_equal
from leyden.errors import UserError
from leyden.schema import TargetKind

TargetType = Literal["auto", "class", "number"]

Name = str | float | bool
"""Name of a column in a config, which reads some names as numbers or truth values."""

ReadTargets = Callable[[Cells], NDArray[Any]]
"""Reads the targets of a chunk.

Returns classes, str ``(rows,)``, empty if missing; numbers, float64 ``(rows,)``, NaN if missing; or
truth values ``(rows, labels)``, NaN if missing.
"""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The names of the columns that are not inputs, and what the targets hold.

    Attributes:
        targets: Name of the target, or of several columns of truth values, one per label.
        target_type: What a single target holds; ``auto`` to infer it from its cells.
        label_separator: Separator of the labels in a cell of a single target, or ``None``.
        group: Name of the column whose rows of one value stay in one split.
        time: Name of the column of dates or numbers that order the rows, to split by.

    Raises:
        ValueError: If ``group`` and ``time``, or two ways to give labels, are combined.
        UserError: If the group is the target.
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
            raise ValueError(
                "label_separator splits the cells of one target column, but target lists several"
            )

    @classmethod
    def from_options(
        cls,
        *,
        target: Name | Sequence[Name],
        target_type: TargetType = "auto",
        label_separator: str | None = None,
        group: Name | None = None,
        time: Name | None = None,
    ) -> "Roles":
        """Build roles from the options of ``TableData``, in which names may be numbers."""
        is_list = isinstance(target, Sequence) and not isinstance(target, str)
        names: Any = target if is_list else [target]
        return cls(
            targets=tuple(map(str, names)),
            target_type=target_type,
            label_separator=label_separator,
            group=None if group is None else str(group),
            time=None if time is None else str(time),
        )

    @property
    def names(self) -> list[str]:
        """Names of the columns with a role."""
        others = [name for name in (self.group, self.time) if name]
        return list(dict.fromkeys([*self.targets, *others]))

    @property
    def required(self) -> list[str]:
        """Names of the columns whose cells must not be missing; separated labels may be."""
        optional = self.targets if self.label_separator else ()
        return [name for name in self.names if name not in optional]

    @property
    def has_labels(self) -> bool:
        """Whether a row may have several labels."""
        return len(self.targets) > 1 or self.label_separator is not None

    def find_labels(self, cells: Cells) -> set[str]:
        """Return the labels in a chunk if a cell holds several, or else an empty set."""
        if self.label_separator is None:
            return set()
        values = cells[self.targets[0]].values
        return {label for value in values.to_pylist() for label in self._split(value)}

    def label_names(self, labels: set[str]) -> list[str]:
        """Return the sorted names of the labels; equal labels have one name."""
        if self.label_separator is None:
            return sorted(self.targets)
        return sorted({*merge_equal(sorted(labels)).values()})

    def reader(self, target: Column, seen: Mapping[str, Evidence], labels: set[str]) -> ReadTargets:
        """Return the function that reads targets.

        Args:
            target: First target column.
            seen: Evidence of each target column.
            labels: All labels as they are written, if a cell holds several.

        Raises:
            UserError: If a target column has no value, or not the values that its role needs.
        """
        kind = self.target_kind(target, seen)
        if self.label_separator is not None:
            number = self._label_numbers(labels)
            return lambda cells: self._read_labels(cells[target.name], number)
        if kind == "labels":
            return self._read_truths
        if kind == "class":
            return lambda cells: _read_names(cells[target.name])
        return lambda cells: _read_numbers(target, cells[target.name])

    def target_kind(self, target: Column, seen: Mapping[str, Evidence]) -> TargetKind:
        """Return what the targets are.

        Args:
            target: First target column.
            seen: Evidence of each target column.

        Raises:
            UserError: If a target column has no value, or not the values that its role needs.
        """
        if self.has_labels:
            if len(self.targets) > 1:
                self._check_truths(seen)
            return "labels"
        if seen[target.name].present == 0:
            raise UserError(f"The target {target.name!r} has no cell that is not missing.")
        return "class" if self._is_class(target, seen[target.name]) else "number"

    def read_groups(self, cells: Cells) -> NDArray[np.str_] | None:
        """Return the groups, str ``(rows,)``, empty if missing; ``None`` without a group column."""
        return _read_names(cells[self.group]) if self.group else None

    def read_times(self, column: Column, cells: Cells) -> NDArray[np.float64]:
        """Return the times of the rows ``(rows,)``, in days or as numbers; NaN if missing.

        Raises:
            UserError: If the column holds neither dates nor numbers.
        """
        if column.kind not in ("date", "numeric"):
            raise UserError(
                f"data.time={column.name} names a column that is {column.kind}. Expected dates or "
                f"numbers; give the format of dates with {column.override('date:FORM')}, such as "
                "date:%d/%m/%Y."
            )
        return _read_numbers(column, cells[column.name])

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

    def _read_truths(self, cells: Cells) -> NDArray[np.float64]:
        columns = [cells[name] for name in self.label_names(set())]
        return np.stack([c.spread(parse_truths(c.values), np.nan) for c in columns], axis=1)

    def _label_numbers(self, labels: set[str]) -> dict[str, int]:
        names = self.label_names(labels)
        return {label: names.index(name) for label, name in merge_equal(sorted(labels)).items()}

    def _read_labels(self, column: Distinct, number: Mapping[str, int]) -> NDArray[np.bool_]:
        """Return truth values, bool ``(rows, labels)``; a missing cell has no label."""
        held = np.zeros((len(column.values) + 1, len({*number.values()})), dtype=bool)
        for row, value in enumerate(column.values.to_pylist()):
            held[row, [number[label] for label in self._split(value)]] = True
        return held[column.places]

    def _split(self, cell: str) -> list[str]:
        return [label.strip() for label in cell.split(self.label_separator) if label.strip()]


def _read_names(column: Distinct) -> NDArray[np.str_]:
    return column.spread(np.array(column.values.to_pylist(), dtype=np.str_), "")


def _read_numbers(column: Column, found: Distinct) -> NDArray[np.float64]:
    return found.spread(column.parse(found.values), np.nan)

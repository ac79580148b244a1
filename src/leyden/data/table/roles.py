"""The columns that are no inputs: targets, groups and times."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from leyden.data.table import cells
from leyden.data.table.columns import Column, Evidence
from leyden.data.table.encoding import Cells
from leyden.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

TargetType = Literal["auto", "class", "number"]

ReadTargets = Callable[[Cells], NDArray[Any]]
"""Gives names ``(rows,)``, empty where missing, numbers, NaN where missing, or truths."""


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which columns say what is to be learnt and which rows belong together.

    Attributes:
        targets: one column, or several of truths, one per label.
        target_type: what a single one holds; ``auto`` looks at its cells.
        label_separator: between the labels of a row, where a single column holds several.
        group: rows of one value stay in one part.
        time: dates or numbers that order the rows, to split by.
        missing: what stands for a missing cell.
    """

    targets: tuple[str, ...]
    target_type: TargetType
    label_separator: str | None
    group: str | None
    time: str | None
    missing: Sequence[str]

    def __post_init__(self) -> None:
        if self.group and self.time:
            raise ValueError("group and time both split the rows: give one of them")
        if self.label_separator and len(self.targets) > 1:
            raise ValueError("label_separator parts one target column, but target lists several")

    @property
    def names(self) -> list[str]:
        """The columns that have a role."""
        others = [name for name in (self.group, self.time) if name]
        return list(dict.fromkeys([*self.targets, *others]))

    @property
    def has_labels(self) -> bool:
        """Tell whether a row may have several labels."""
        return len(self.targets) > 1 or self.label_separator is not None

    def labels(self, chunk: Cells) -> set[str]:
        """Collect the labels of a chunk, where one column holds several."""
        if self.label_separator is None:
            return set(self.targets)
        values, _ = cells.distinct(chunk[self.targets[0]], self.missing)
        return {label for value in values.to_pylist() for label in self._parted(value)}

    def reader(self, seen: Mapping[str, Evidence], labels: Sequence[str]) -> ReadTargets:
        """Choose how targets are read, once all cells have been looked at.

        Raises:
            UserError: the target columns do not hold what they have to.
        """
        first = self.targets[0]
        if self.label_separator is not None:
            return lambda chunk: self._parted_labels(chunk[first], labels)
        if len(self.targets) > 1:
            self._check_truths(seen)
            return lambda chunk: self._truths(chunk, labels)
        if seen[first].present == 0:
            raise UserError(f"The target {first!r} has no cell that is not missing.")
        if self._is_class(seen[first]):
            return lambda chunk: self._class_names(chunk[first])
        return lambda chunk: self._numbers(chunk[first])

    def groups(self, column: "pa.StringArray") -> NDArray[np.str_]:
        """Give the group ``(rows,)`` of each row, empty where there is none."""
        return self._class_names(column)

    def times(self, column: Column, strings: "pa.StringArray") -> NDArray[np.float64]:
        """Give what orders the rows ``(rows,)``: days or numbers, NaN where there is none.

        Raises:
            UserError: the column holds neither dates nor numbers.
        """
        if column.kind not in ("date", "numeric"):
            raise UserError(
                f"data.time={column.name} names a column that is {column.kind}. Expected dates or "
                f"numbers; say how dates are written with '+data.columns.{column.name}=date:FORM', "
                "such as date:%d/%m/%Y."
            )
        values, places = cells.distinct(strings, self.missing)
        return np.append(column.parsed(values), np.nan)[places]

    def _is_class(self, seen: Evidence) -> bool:
        if self.target_type == "auto":
            return seen.is_class
        if self.target_type == "number" and seen.numbers == 0:
            raise UserError(
                f"data.target_type=number, but the target {self.targets[0]!r} holds no number. "
                "Leave data.target_type=auto to learn classes."
            )
        return self.target_type == "class"

    def _check_truths(self, seen: Mapping[str, Evidence]) -> None:
        for name in self.targets:
            if seen[name].truths_or_bits < seen[name].present:
                raise UserError(
                    f"The target column {name!r} holds more than yes and no. Several target "
                    "columns are labels that a row has or has not: expected 0 and 1, or true and "
                    "false. Give one column as data.target=NAME to learn classes or a number."
                )

    def _class_names(self, column: "pa.StringArray") -> NDArray[np.str_]:
        values, places = cells.distinct(column, self.missing)
        return np.array([*values.to_pylist(), ""], dtype=np.str_)[places]

    def _numbers(self, column: "pa.StringArray") -> NDArray[np.float64]:
        values, places = cells.distinct(column, self.missing)
        parsed = np.append(cells.numbers(values), np.nan)[places]
        parsed[np.isinf(parsed)] = np.nan
        return parsed

    def _truths(self, chunk: Cells, labels: Sequence[str]) -> NDArray[np.float64]:
        columns = []
        for name in labels:
            values, places = cells.distinct(chunk[name], self.missing)
            columns.append(np.append(cells.truths(values), np.nan)[places])
        return np.stack(columns, axis=1)

    def _parted_labels(self, column: "pa.StringArray", labels: Sequence[str]) -> NDArray[np.bool_]:
        """Give truths ``(rows, labels)``; a missing cell holds no label."""
        values, places = cells.distinct(column, self.missing)
        number = {label: index for index, label in enumerate(labels)}
        held = np.zeros((len(values) + 1, len(labels)), dtype=bool)
        for row, value in enumerate(values.to_pylist()):
            held[row, [number[label] for label in self._parted(value)]] = True
        return held[places]

    def _parted(self, cell: str) -> list[str]:
        return [label.strip() for label in cell.split(self.label_separator) if label.strip()]

"""Reading of a table in two passes: to infer the kinds of its columns, and to encode them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leyden.data.rows import RejectedItem, Rows
from leyden.data.sources.tables import Chunk
from leyden.data.table.cells import CellFormat, Cells, hash_rows, missing_warnings
from leyden.data.table.cleaning import TableCleaning
from leyden.data.table.columns import MOST_CLASSES, Column, Evidence, find_column, no_known_cell
from leyden.data.table.encoding import Encoder
from leyden.data.table.hints import Hint, find_hint
from leyden.data.table.roles import ReadTargets, Roles
from leyden.data.table.screening import INDEX_NAMES
from leyden.errors import UserError, did_you_mean
from leyden.schema import TargetKind


class ReadChunks(Protocol):
    """Function that reads some columns of a table."""

    def __call__(self, columns: Sequence[str], *, beside: Sequence[str] = ()) -> Iterator[Chunk]:
        """Yield chunks of rows; cells of the columns ``beside`` may be invalid in its encoding."""


@dataclass(frozen=True, kw_only=True)
class TableReading:
    """A table, and how it is read.

    Attributes:
        names: Names of all columns.
        chunks: Function that reads some columns.
        written: Format of the cells.
        roles: Columns that are not inputs.
        declared: Kinds of columns by name, as the config declares them.
        steps: Cleaning steps that run.
    """

    names: Sequence[str]
    chunks: ReadChunks
    written: CellFormat
    roles: Roles
    declared: Mapping[str, str]
    steps: TableCleaning

    def find_names(self) -> "TableReading":
        """Replace the names in roles and declared kinds by those of the table's columns.

        Raises:
            UserError: If the table does not have a column.
        """
        roles, find = self.roles, self._find_name
        return replace(
            self,
            roles=replace(
                roles,
                targets=tuple(find("target", name) for name in roles.targets),
                group=None if roles.group is None else find("group", roles.group),
                time=None if roles.time is None else find("time", roles.time),
            ),
            declared={find("columns", name): kind for name, kind in self.declared.items()},
        )

    def target_kind(self, seen: Mapping[str, Evidence]) -> TargetKind:
        """Return what the targets are, by the rule by which they are read.

        Args:
            seen: Evidence of each target column, which may be that of some rows only.

        Raises:
            UserError: If the cells of a target column are not what its role or kind needs.
        """
        target = self._column(self.roles.targets[0], seen)
        self._check_target(self._find_hint(target, seen), seen[target.name])
        return self._roles(target).target_kind(target, seen)

    def rows(self) -> Iterator[Rows]:
        """Yield the rows in chunks, and finally a chunk without rows that has facts of the columns.

        Raises:
            UserError: If the cells of a column are not what its role or kind needs.
        """
        seen, labels = self._inspect()
        target = self.roles.targets[0]
        columns = {
            name: self._column(name, seen) for name in self.names if name != self.roles.group
        }
        hints = {name: hint for name in seen if (hint := self._find_hint(columns[name], seen))}
        self._check_target(hints.get(target), seen[target])
        inputs = [columns[name] for name in self.names if name in columns and self._is_input(name)]
        encoder = Encoder(inputs, {name: evidence.spellings for name, evidence in seen.items()})
        encoding = _Encoding(
            reading=self,
            label_names=self.roles.label_names(labels) if self.roles.has_labels else None,
            read_targets=self._roles(columns[target]).reader(columns[target], seen, labels),
            time=columns[self.roles.time] if self.roles.time else None,
            encoder=encoder,
        )
        read = [column.name for column in inputs if column.kind != "ignored"]
        needed = list(dict.fromkeys([*self.roles.names, *read]))
        beside = [name for name in self.names if name not in needed]
        for chunk in self.chunks(needed, beside=beside):
            yield encoding.encode(chunk, Cells(chunk, self.written))
        self._check_misfits(encoder, seen)
        hinted = [f"The column {c.name} {hints[c.name]}" for c in inputs if c.name in hints]
        facts = {
            "columns": [vars(column) for column in inputs],
            "values": encoder.values,
            "misfits": {n: vars(found) for n, found in encoder.misfits.items() if found.cells},
            "declared": dict(self.declared),
            "warnings": [*hinted, *encoding.warnings()],
        }
        yield Rows(arrays={}, targets=np.empty(0), split="all", sources=(), facts=facts)

    def _find_name(self, role: str, name: str) -> str:
        found = find_column(name, self.names)
        if found is None:
            raise UserError(
                f"data.{role} names the column {name!r}, which the table does not have."
                f"{did_you_mean(name, self.names)}"
            )
        return found

    def _inspect(self) -> tuple[dict[str, Evidence], set[str]]:
        """Return the evidence of every column with a kind, and the labels in cells of several."""
        evidence = {name: Evidence() for name in self.names if self._has_kind(name)}
        labels: set[str] = set()
        rows = 0
        rejected: list[RejectedItem] = []
        for chunk in self.chunks(list(evidence)):
            rows += len(chunk.sources)
            rejected += chunk.rejected[:1]
            cells = Cells(chunk, self.written)
            for name, seen in evidence.items():
                seen.add(cells[name], grouped=self.written.find_grouped(chunk.columns[name]))
            labels |= self.roles.find_labels(cells)
        if rows == 0:
            raise UserError(
                "The table holds no row that can be read. "
                + (f"{rejected[0].source}: {rejected[0].reason}." if rejected else "It is empty.")
            )
        return evidence, labels

    def _has_kind(self, name: str) -> bool:
        ignored = self.declared.get(name) == "ignored"
        return name in self.roles.targets or not (ignored or name == self.roles.group)

    def _is_input(self, name: str) -> bool:
        """Whether a column is an input; that of the time is one only if its kind is declared."""
        return name not in self.roles.names or (
            name == self.roles.time and name in self.declared and name not in self.roles.targets
        )

    def _column(self, name: str, seen: Mapping[str, Evidence]) -> Column:
        position = self.names.index(name) + 1
        if name in self.declared:
            return Column.from_declaration(name, self.declared[name], position)
        return Column(name=name, kind=seen[name].kind, position=position)

    def _roles(self, target: Column) -> Roles:
        """Return the roles with the target type of a declared kind."""
        if self.roles.target_type != "auto" or target.name not in self.declared:
            return self.roles
        is_number = target.kind in ("numeric", "date")
        return replace(self.roles, target_type="number" if is_number else "class")

    def _find_hint(self, column: Column, seen: Mapping[str, Evidence]) -> Hint | None:
        """Return a hint about a column whose kind is inferred, or ``None``."""
        if column.name in self.declared:
            return None
        return find_hint(column, seen[column.name], self.written.missing)

    def _check_target(self, hint: Hint | None, seen: Evidence) -> None:
        """Raise if the target holds numbers that only their format makes classes."""
        is_free = self.roles.target_type == "auto" and not self.roles.has_labels
        is_text = seen.kind == "categorical"
        if is_free and is_text and hint and len(seen.sample) > MOST_CLASSES:
            raise UserError(
                f"The target {self.roles.targets[0]} {hint}. To learn classes anyway: "
                "data.target_type=class"
            )

    def _check_misfits(self, encoder: Encoder, seen: Mapping[str, Evidence]) -> None:
        for column in encoder.number_columns:
            found = encoder.misfits[column.name]
            if 0 < seen[column.name].present <= found.cells:
                raise no_known_cell(column, column.expected, found.example)
            if found.cells and not self.steps.misfits:
                raise UserError(
                    f"{found.cells} cells of the {column.kind} column {column.name!r} are of "
                    f"another kind, such as {found.example!r}. Fix them, count them as missing "
                    "with data.cleaning.misfits=true, or declare another kind with "
                    f"{column.override('categorical')}"
                )


@dataclass(kw_only=True)
class _Encoding:
    """The second pass over a table.

    Attributes:
        reading: The table, and how it is read.
        label_names: Names of the labels if a row may have several.
        read_targets: Function that reads the targets of a chunk.
        time: Column that orders the rows.
        encoder: Encoder of the inputs.
        rows: Number of rows so far.
        lost: Number of rows that a word in a column with a role has cost, by column and word.
        unreadable: Rows that cannot be read.
    """

    reading: TableReading
    label_names: Sequence[str] | None
    read_targets: ReadTargets
    time: Column | None
    encoder: Encoder
    rows: int = 0
    lost: Counter[tuple[str, str]] = field(default_factory=Counter)
    unreadable: list[RejectedItem] = field(default_factory=list)

    def encode(self, chunk: Chunk, cells: Cells) -> Rows:
        """Encode a chunk; rows without a target, a group or a time are rejected."""
        rows, roles = len(chunk.sources), self.reading.roles
        # An index changes in all rows when one is added.
        identifying = [name for name in self.reading.names if not INDEX_NAMES.fullmatch(name)]
        self.rows += rows + len(chunk.rejected)
        self.unreadable += chunk.rejected
        targets, groups = self.read_targets(cells), roles.read_groups(cells)
        times = roles.read_times(self.time, cells) if self.time else None
        known = [_known(values) for values in (targets, groups, times) if values is not None]
        kept = np.logical_and.reduce(known)
        rejected = [
            self._reject(chunk.sources[row], cells, row, has_target=bool(known[0][row]))
            for row in np.flatnonzero(~kept).tolist()
        ]
        return Rows(
            arrays={
                "numbers": self.encoder.numbers(cells, rows)[kept],
                "categories": self.encoder.categories(cells, rows)[kept],
            },
            targets=targets[kept].astype(bool) if self.label_names else targets[kept],
            split="all",
            sources=[chunk.sources[row] for row in np.flatnonzero(kept).tolist()],
            rejected=[*chunk.rejected, *rejected],
            keys=hash_rows(cells, identifying, rows)[kept],
            groups=None if groups is None else groups[kept],
            times=None if times is None else times[kept],
            label_names=self.label_names,
        )

    def warnings(self) -> Iterator[str]:
        """Yield warnings of rows that cannot be read, and of words that make many rows missing."""
        if self.unreadable:
            first = self.unreadable[0]
            yield (
                f"{len(self.unreadable)} of {self.rows} rows cannot be read, such as "
                f"{first.source}: {first.reason}"
            )
        yield from missing_warnings(self.lost, self.rows, self.reading.written.missing)

    def _reject(self, source: str, cells: Cells, row: int, *, has_target: bool) -> RejectedItem:
        """Return a finding on a row without a target, group or time, which names the cell.

        Raises:
            UserError: If such rows are not dropped.
        """
        roles = self.reading.roles
        missing = [name for name in roles.required if cells[name].places[row] < 0]
        name = missing[0] if missing else (has_target and roles.time) or roles.targets[0]
        text = cells.text(name, row)
        reason = f"{text!r} in {name} is not usable" if text else f"no value of {name}"
        if missing and text:
            self.lost[name, text] += 1
            reason = f"{text!r} in {name} counts as missing, see data.missing_cells"
        if not self.reading.steps.missing_target:
            raise UserError(
                f"{source}: {reason}. Fill it in, or leave such rows out with "
                "data.cleaning.missing_target=true."
            )
        return RejectedItem(source=source, reason=reason, step="missing_target")


def _known(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask ``(rows,)`` of the values that are not missing."""
    if values.dtype.kind == "U":
        return np.asarray(values != "")
    absent = np.isnan(values.astype(np.float64))
    return np.asarray(~(absent.any(axis=1) if values.ndim == 2 else absent))

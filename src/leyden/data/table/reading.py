"""Reading a table twice: to tell its columns apart, and to encode them."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.rows import RejectedItem, Rows
from leyden.data.table.cleaning import TableCleaning
from leyden.data.table.columns import Column, Evidence, described
from leyden.data.table.encoding import Encoder
from leyden.data.table.roles import Roles
from leyden.data.tables import Chunk
from leyden.errors import UserError, did_you_mean

log = logging.getLogger(__name__)

ReadChunks = Callable[[Sequence[str]], Iterator[Chunk]]


@dataclass(frozen=True, kw_only=True)
class TableReading:
    """A table and how it is read.

    Attributes:
        names: all columns of the table.
        chunks: reads some of them.
        roles: the columns that are no inputs.
        declared: kinds of columns by name, as the config gives them.
        steps: the cleaning steps that run.
    """

    names: Sequence[str]
    chunks: ReadChunks
    roles: Roles
    declared: Mapping[str, str]
    steps: TableCleaning

    def rows(self) -> Iterator[Rows]:
        """Yield the rows in chunks, and what was learnt of the columns in the end.

        Raises:
            UserError: a column is missing, or its cells are not what they have to be.
        """
        self._check_names()
        evidence, labels = self._looked_at()
        inputs = self._inputs(evidence)
        log.info("columns: %s", described(inputs))
        read_targets = self.roles.reader(evidence, labels)
        time = self._column(self.roles.time, evidence) if self.roles.time else None
        encoder = Encoder(inputs, self.roles.missing)
        read = [column.name for column in inputs if column.kind != "ignored"]
        needed = dict.fromkeys([*self.roles.names, *read])
        for chunk in self.chunks(list(needed)):
            targets = read_targets(chunk.columns)
            yield self._encoded(chunk, targets, encoder=encoder, labels=labels, time=time)
        self._check_misfits(encoder)
        yield Rows(
            arrays={}, targets=np.empty(0), part="all", sources=(), facts=_facts(inputs, encoder)
        )

    def _check_names(self) -> None:
        for role, names in (
            ("target", self.roles.targets),
            ("group", [self.roles.group]),
            ("time", [self.roles.time]),
            ("columns", self.declared),
        ):
            for name in names:
                if name and name not in self.names:
                    raise UserError(
                        f"data.{role} names the column {name!r}, which the table has not."
                        f"{did_you_mean(name, self.names)}"
                    )

    def _looked_at(self) -> tuple[dict[str, Evidence], list[str]]:
        """Look at every cell that may be an input or a target."""
        evidence = {
            name: Evidence()
            for name in self.names
            if name in self.roles.targets or name not in {self.roles.group, *self.declared}
        }
        labels: set[str] = set()
        rows = 0
        rejected: list[RejectedItem] = []
        for chunk in self.chunks(list(evidence)):
            rows += len(chunk.sources)
            rejected += chunk.rejected[:1]
            for name, seen in evidence.items():
                seen.add(chunk.columns[name], self.roles.missing)
            if self.roles.has_labels:
                labels |= self.roles.labels(chunk.columns)
        if rows == 0:
            raise UserError(
                "The table holds no row that can be read. "
                + (f"{rejected[0].source}: {rejected[0].reason}." if rejected else "It is empty.")
            )
        return evidence, sorted(labels)

    def _inputs(self, evidence: Mapping[str, Evidence]) -> list[Column]:
        """Choose the kinds of the columns that may be learnt from."""
        undeclared_time = {self.roles.time} - set(self.declared)
        others = {*self.roles.targets, self.roles.group, *undeclared_time}
        return [self._column(name, evidence) for name in self.names if name not in others]

    def _column(self, name: str, evidence: Mapping[str, Evidence]) -> Column:
        if name in self.declared:
            return Column.declared(name, self.declared[name])
        return Column(name=name, kind=evidence[name].kind)

    def _encoded(
        self,
        chunk: Chunk,
        targets: NDArray[Any],
        *,
        encoder: Encoder,
        labels: Sequence[str],
        time: Column | None,
    ) -> Rows:
        rows = len(chunk.sources)
        times = None
        if time is not None:
            times = self.roles.times(time, chunk.columns[time.name])
        groups = self.roles.groups(chunk.columns[self.roles.group]) if self.roles.group else None
        needed = [values for values in (targets, groups, times) if values is not None]
        known = np.logical_and.reduce([_known(values) for values in needed])
        without = [chunk.sources[row] for row in np.flatnonzero(~known).tolist()]
        self._check_targets(without)
        return Rows(
            arrays={
                "numbers": encoder.numbers(chunk.columns, rows)[known],
                "categories": encoder.categories(chunk.columns, rows)[known],
            },
            targets=targets[known].astype(bool) if labels else targets[known],
            part="all",
            sources=[chunk.sources[row] for row in np.flatnonzero(known).tolist()],
            rejected=[*chunk.rejected, *map(self._without_target, without)],
            groups=None if groups is None else groups[known],
            times=None if times is None else times[known],
            label_names=list(labels) or None,
        )

    def _check_targets(self, without: Sequence[str]) -> None:
        if without and not self.steps.missing_target:
            raise UserError(
                f"{without[0]}: {self._without_target(without[0]).reason}. Fill it in, or leave "
                "such rows out with data.cleaning.missing_target=true."
            )

    def _without_target(self, source: str) -> RejectedItem:
        reason = f"no usable value of {' or '.join(self.roles.names)}"
        return RejectedItem(source=source, reason=reason, step="missing_target")

    def _check_misfits(self, encoder: Encoder) -> None:
        for column in encoder.number_columns:
            found = encoder.misfits[column.name]
            if found.cells and not self.steps.misfits:
                raise UserError(
                    f"{found.cells} cells of the {column.kind} column {column.name!r} are none, "
                    f"such as {found.example!r}. Mend them, count them as missing with "
                    "data.cleaning.misfits=true, or take the column for another kind with "
                    f"+data.columns.{column.name}=categorical."
                )


def _known(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which rows ``(rows,)`` have a target, a group or a time."""
    if values.dtype.kind == "U":
        return np.asarray(values != "")
    absent = np.isnan(values.astype(np.float64))
    return np.asarray(~(absent.any(axis=1) if values.ndim == 2 else absent))


def _facts(inputs: Sequence[Column], encoder: Encoder) -> dict[str, Any]:
    return {
        "columns": [vars(column) for column in inputs],
        "values": encoder.values,
        "misfits": {name: vars(found) for name, found in encoder.misfits.items() if found.cells},
    }

"""Rows of files that a finished run is asked to predict."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.prepared import Cache
from leyden.data.inputs import Inputs
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.cells import CellFormat, Cells
from leyden.data.table.columns import Column, no_known_cell
from leyden.data.table.encoding import MISSING, Encoder, Layout
from leyden.data.values import matcher
from leyden.errors import UserError

log = logging.getLogger(__name__)

SHOWN = 5
"""Known values that an error lists."""

AS_MISSING, NEVER_SEEN = "count as missing", "were never seen in training"


def read_rows(
    files: Sequence[TableFile], statistics: Mapping[str, Any], written: CellFormat
) -> Iterator[Inputs]:
    """Encode the rows of some files as in training; what was missing there may be missing here.

    All files are looked at first, so that a warning or an error comes before any prediction.

    Raises:
        UserError: If a file lacks a column, no file has a row, or no cell of a column is known.
    """
    reading = _Reading(statistics, written)
    columns = [column.name for column in reading.columns]
    for file in files:
        for chunk in file.chunks(columns):
            reading.look_at(chunk)
    if not reading.rows:
        raise UserError(f"{', '.join(str(file.path) for file in files)}: no row to predict.")
    reading.check()
    for file in files:
        for chunk in file.chunks(columns):
            yield reading.inputs(chunk)


class _Reading:
    """The columns that were fitted, in files to predict, and what is odd about their cells.

    Args:
        statistics: What was fitted.
        written: Format of the cells.
    """

    def __init__(self, statistics: Mapping[str, Any], written: CellFormat) -> None:
        fitted = statistics["numbers"]
        self.rows = 0
        self.columns = [Column(**column) for column in statistics["columns"]]
        self._statistics = statistics
        self._written = written
        self._encoder = Encoder(self.columns)
        self._low = (fitted["centres"] + fitted["low"]).numpy()
        self._high = (fitted["centres"] + fitted["high"]).numpy()
        self._beyond = np.zeros(len(self._low), np.int64)
        self._example = np.full(len(self._low), np.nan)
        self._known = np.zeros(len(self.columns), np.int64)
        self._unknown = np.zeros(len(self.columns), np.int64)
        self._unknown_example = [""] * len(self.columns)

    def look_at(self, chunk: Chunk) -> None:
        """Count the cells of a chunk that training knows, and those that it does not."""
        self.rows += len(chunk.sources) + len(chunk.rejected)
        cells = Cells(chunk, self._written)
        numbers, categories = self._encoded(chunk, cells)
        layout = self._layout()
        fields = layout.inputs(numbers, categories)
        known = [~np.isnan(numbers), fields["categories"] > 0]
        for place, (column, are_known) in enumerate(
            zip(self.columns, np.concatenate(known, axis=1).T, strict=True)
        ):
            present = cells[column.name].places >= 0
            strange = np.flatnonzero(present & ~are_known)
            self._known[place] += np.count_nonzero(present & are_known)
            self._unknown[place] += len(strange)
            if len(strange) and not self._unknown_example[place]:
                self._unknown_example[place] = cells.text(column.name, int(strange[0]))
        outside = (numbers < self._low) | (numbers > self._high)
        self._beyond += outside.sum(axis=0)
        for place in np.flatnonzero(outside.any(axis=0) & np.isnan(self._example)).tolist():
            self._example[place] = numbers[outside[:, place], place][0]

    def check(self) -> None:
        """Warn of cells that mean nothing to the network, and refuse a column of nothing else.

        Raises:
            UserError: If a column has cells, but no known one.
        """
        for column, known, unknown, example in zip(
            self.columns, self._known, self._unknown, self._unknown_example, strict=True
        ):
            if unknown and not known:
                raise no_known_cell(column, self._expected(column), example)
            if unknown:
                became = AS_MISSING if column.is_number else NEVER_SEEN
                log.warning("%d cells of %s %s, such as %r", unknown, column.name, became, example)
        for place in np.flatnonzero(self._beyond).tolist():
            log.warning(
                "%d cells of %s are outside %.6g to %.6g and count as missing, such as %.6g",
                self._beyond[place],
                self.columns[place].name,
                self._low[place],
                self._high[place],
                self._example[place],
            )

    def inputs(self, chunk: Chunk) -> Inputs:
        """Encode a chunk."""
        numbers, categories = self._encoded(chunk, Cells(chunk, self._written))
        fields = self._layout().inputs(numbers, categories)
        return Inputs(names=chunk.sources, fields=fields, rejected=chunk.rejected)

    def _encoded(self, chunk: Chunk, cells: Cells) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        rows = len(chunk.sources)
        return self._encoder.numbers(cells, rows), self._encoder.categories(cells, rows)

    def _layout(self) -> Layout:
        return Layout.of(self._statistics, self.columns, self._encoder.values)

    def _expected(self, column: Column) -> str:
        if column.is_number:
            return column.expected
        return _listed(self._statistics["values"][column.name])


def strange_cells(cached: Cache, statistics: Mapping[str, Any]) -> Iterator[str]:
    """Return warnings of cells that the network does not know, in a table that is measured.

    Raises:
        UserError: If a column has values, but none that training saw.
    """
    fitted = {column["name"]: Column(**column) for column in statistics["columns"]}
    for name, found in cached.facts["misfits"].items():
        if name in fitted:
            yield f"{found['cells']} cells of {name} {AS_MISSING}, such as {found['example']!r}"
    for name, known in statistics["values"].items():
        find = matcher(known)
        values = [value for value in cached.facts["values"][name] if value != MISSING]
        unknown = [value for value in values if find(value) is None]
        if unknown and len(unknown) == len(values):
            raise no_known_cell(fitted[name], _listed(known), unknown[0])
        if unknown:
            yield f"{len(unknown)} values of {name} {NEVER_SEEN}, such as {unknown[0]!r}"


def _listed(values: Sequence[str]) -> str:
    """List some of the values that a categorical column had in training."""
    known = [value for value in values if value != MISSING]
    more = f" or one of {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"{', '.join(map(repr, known[:SHOWN]))}{more}"

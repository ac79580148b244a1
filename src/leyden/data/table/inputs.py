"""Rows of files to predict on, and warnings about cells that are unknown to the network."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.prepared import Cache
from leyden.data.inputs import Inputs
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.cells import CellFormat, Cells
from leyden.data.table.columns import Column, load_columns, no_known_cell
from leyden.data.table.encoding import MISSING, Encoder, Layout
from leyden.data.values import matcher
from leyden.errors import UserError

log = logging.getLogger(__name__)

SHOWN = 5
"""Largest number of known values in an error message."""

UNBOUNDED = (-math.inf, math.inf)

AS_MISSING, NEVER_SEEN = "count as missing", "were never seen in training"


def read_rows(
    files: Sequence[TableFile], statistics: Mapping[str, Any], written: CellFormat
) -> Iterator[Inputs]:
    """Encode the rows of files as in training.

    All files are read twice, so that warnings and errors come before any prediction.

    Args:
        files: Files to predict on.
        statistics: Fitted statistics.
        written: Format of the cells.

    Raises:
        UserError: If a file lacks a column, no file has a row, or no cell of a column is known.
    """
    reading = _Reading(statistics, written)
    columns = [column.name for column in reading.columns]
    for file in files:
        for chunk in file.chunks(columns):
            reading.count(chunk)
    if not reading.rows:
        raise UserError(f"{', '.join(str(file.path) for file in files)}: no row to predict.")
    reading.check()
    for file in files:
        for chunk in file.chunks(columns):
            fields = reading.encode(chunk, Cells(chunk, written))[1]
            yield Inputs(names=chunk.sources, fields=fields, rejected=chunk.rejected)


@dataclass(kw_only=True)
class _Counts:
    """Counts of the cells of a fitted column in files to predict on.

    Attributes:
        bounds: Lowest and highest plausible value.
        known: Number of cells that the network knows.
        unknown: Number of other cells that are not missing.
        example: The first unknown cell.
        beyond: Number of implausible values.
        extreme: The first implausible value.
    """

    bounds: tuple[float, float]
    known: int = 0
    unknown: int = 0
    example: str = ""
    beyond: int = 0
    extreme: float = math.nan


class _Reading:
    """The fitted columns in files to predict on.

    Args:
        statistics: Fitted statistics.
        written: Format of the cells.
    """

    def __init__(self, statistics: Mapping[str, Any], written: CellFormat) -> None:
        fitted = statistics["numbers"]
        low, high = ((fitted["centres"] + fitted[name]).tolist() for name in ("low", "high"))
        self.rows = 0
        self.columns = load_columns(statistics)
        self._statistics = statistics
        self._written = written
        self._encoder = Encoder(self.columns)
        bounds = zip(low, high, strict=True)  # of the numbers, which are the first columns
        self._counts = [_Counts(bounds=next(bounds, UNBOUNDED)) for _ in self.columns]

    def count(self, chunk: Chunk) -> None:
        """Count the cells of a chunk that the network knows, and those that it does not."""
        self.rows += len(chunk.sources) + len(chunk.rejected)
        cells = Cells(chunk, self._written)
        numbers, fields = self.encode(chunk, cells)
        known = np.concatenate([~np.isnan(numbers), fields["categories"] > 0], axis=1)
        for column, counts, are_known in zip(self.columns, self._counts, known.T, strict=True):
            present = cells[column.name].places >= 0
            unknown = np.flatnonzero(present & ~are_known)
            counts.known += int(np.count_nonzero(present & are_known))
            counts.unknown += len(unknown)
            if len(unknown) and not counts.example:
                counts.example = cells.text(column.name, int(unknown[0]))
        for counts, values in zip(self._counts, numbers.T, strict=False):
            low, high = counts.bounds
            beyond = values[(values < low) | (values > high)]
            if len(beyond) and not counts.beyond:
                counts.extreme = beyond[0]
            counts.beyond += len(beyond)

    def check(self) -> None:
        """Warn of cells that the network does not know.

        Raises:
            UserError: If a column has cells, but no known one.
        """
        for column, counts in zip(self.columns, self._counts, strict=True):
            if counts.unknown and not counts.known:
                raise no_known_cell(column, self._expected(column), counts.example)
            if counts.unknown:
                log.warning(
                    "%d cells of %s %s, such as %r",
                    *(counts.unknown, column.name),
                    *(AS_MISSING if column.is_number else NEVER_SEEN, counts.example),
                )
            if counts.beyond:
                log.warning(
                    "%d cells of %s are outside %.6g to %.6g and count as missing, such as %.6g",
                    *(counts.beyond, column.name, *counts.bounds, counts.extreme),
                )

    def encode(
        self, chunk: Chunk, cells: Cells
    ) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
        """Return the numbers ``(rows, columns)`` of a chunk, and its raw fields."""
        rows = len(chunk.sources)
        numbers = self._encoder.numbers(cells, rows)
        categories = self._encoder.categories(cells, rows)
        layout = Layout.of(self._statistics, self.columns, self._encoder.values)
        return numbers, layout.inputs(numbers, categories)

    def _expected(self, column: Column) -> str:
        if column.is_number:
            return column.expected
        return _describe_values(self._statistics["values"][column.name])


def unknown_cells(cached: Cache, statistics: Mapping[str, Any]) -> Iterator[str]:
    """Yield warnings of cells of a table to evaluate on that the network does not know.

    Args:
        cached: Cached rows of the table.
        statistics: Fitted statistics.

    Raises:
        UserError: If a column has values, but no known one.
    """
    fitted = {column.name: column for column in load_columns(statistics)}
    for name, found in cached.facts["misfits"].items():
        if name in fitted:
            yield f"{found['cells']} cells of {name} {AS_MISSING}, such as {found['example']!r}"
    for name, known in statistics["values"].items():
        find = matcher(known)
        values = [value for value in cached.facts["values"][name] if value != MISSING]
        unknown = [value for value in values if find(value) is None]
        if unknown and len(unknown) == len(values):
            raise no_known_cell(fitted[name], _describe_values(known), unknown[0])
        if unknown:
            yield f"{len(unknown)} values of {name} {NEVER_SEEN}, such as {unknown[0]!r}"


def _describe_values(values: Sequence[str]) -> str:
    """List some of the values that a categorical column has in training.

    Example:
        >>> _describe_values(["", *"abcdefg"])
        "'a', 'b', 'c', 'd', 'e' or one of 2 more"
    """
    known = [value for value in values if value != MISSING]
    more = f" or one of {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"{', '.join(map(repr, known[:SHOWN]))}{more}"

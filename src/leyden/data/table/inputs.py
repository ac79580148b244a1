"""Rows of files to predict on, and warnings about cells that are unknown to the network."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.prepared import Cache
from leyden.data.parts import CellCounts, Counts
from leyden.data.sources.tables import Chunk
from leyden.data.table.cells import CellFormat, Cells, Distinct
from leyden.data.table.columns import Column, load_columns, no_known_cell, split_columns
from leyden.data.table.encoding import MISSING, Encoder, code_finder
from leyden.data.values import matcher

SHOWN = 5
"""Largest number of known values in an error message."""

ENOUGH = 100
"""Number of unknown cells, if none is known, after which a column is refused before the last row.
"""

AS_MISSING, NEVER_SEEN = "count as missing", "were never seen in training"


class InputRows:
    """Encodes rows to predict on as in training, and finds cells that the network does not know.

    Args:
        statistics: Fitted statistics.
        written: Format of the cells.
    """

    def __init__(self, statistics: Mapping[str, Any], written: CellFormat) -> None:
        self._written = written
        self._values = statistics["values"]
        self._numbers, self._categories = split_columns(load_columns(statistics))
        self._codes = {name: code_finder(known) for name, known in self._values.items()}
        fitted = statistics["numbers"]
        low, high = (
            (np.asarray(fitted["centres"]) + np.asarray(fitted[name])).tolist()
            for name in ("low", "high")
        )
        self._bounds = list(zip(low, high, strict=True))

    @property
    def columns(self) -> list[str]:
        """Names of the fitted columns."""
        return [column.name for column in (*self._numbers, *self._categories)]

    def encode(self, chunk: Chunk) -> tuple[dict[str, NDArray[Any]], Counts]:
        """Return the fitted columns of a chunk, each ``(rows, columns)``, and the counts."""
        cells = Cells(chunk, self._written)
        rows = len(chunk.sources)
        numbers = Encoder(self._numbers).numbers(cells, rows)
        categories = np.empty((rows, len(self._categories)), np.int64)
        for codes, column in zip(categories.T, self._categories, strict=True):
            codes[:] = self._encode(column.name, cells[column.name])
        counts = [
            *map(partial(_count_numbers, cells), self._numbers, numbers.T, self._bounds),
            *map(partial(_count, cells), self._categories, categories.T > 0),
        ]
        named = dict(zip(self.columns, counts, strict=True))
        return {"numbers": numbers, "categories": categories}, named

    def check(self, counts: Counts, *, is_last: bool) -> None:
        """Raise if a column has cells, but no known one, see ``Reader.check``.

        Raises:
            UserError: If it has ``ENOUGH`` of them, or any in all rows.
        """
        for column in (*self._numbers, *self._categories):
            found = counts.get(column.name, CellCounts())
            if found.unknown >= (1 if is_last else ENOUGH) and not found.known:
                raise no_known_cell(column, self._expected(column), found.example)

    def warnings(self, counts: Counts) -> Iterator[str]:
        """Describe cells that the network does not know, and implausible values."""
        bounds = dict(zip((column.name for column in self._numbers), self._bounds, strict=True))
        for name, found in counts.items():
            if found.unknown:
                fate = AS_MISSING if name in bounds else NEVER_SEEN
                yield f"{found.unknown} cells of {name} {fate}, such as {found.example!r}"
            if found.beyond:
                low, high = bounds[name]
                yield (
                    f"{found.beyond} cells of {name} are outside {low:.6g} to {high:.6g} and "
                    f"count as missing, such as {found.extreme:.6g}"
                )

    def _encode(self, name: str, cells: Distinct) -> NDArray[np.int64]:
        find = self._codes[name]
        codes = [find(value) for value in cells.values.to_pylist()]
        return cells.spread(np.array(codes, np.int64), find(MISSING))

    def _expected(self, column: Column) -> str:
        return column.expected if column.is_number else _describe_values(self._values[column.name])


def _count(cells: Cells, column: Column, known: NDArray[np.bool_]) -> CellCounts:
    """Count the cells ``(rows,)`` of a column that are not missing."""
    present = cells[column.name].places >= 0
    unknown = np.flatnonzero(present & ~known)
    return CellCounts(
        known=int(np.count_nonzero(present & known)),
        unknown=len(unknown),
        example=cells.text(column.name, int(unknown[0])) if len(unknown) else "",
    )


def _count_numbers(
    cells: Cells, column: Column, numbers: NDArray[np.float64], bounds: tuple[float, float]
) -> CellCounts:
    """Count the numbers ``(rows,)`` of a column, and those that are implausible."""
    beyond = numbers[(numbers < bounds[0]) | (numbers > bounds[1])]
    return replace(
        _count(cells, column, ~np.isnan(numbers)),
        beyond=len(beyond),
        extreme=float(beyond[0]) if len(beyond) else None,
    )


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

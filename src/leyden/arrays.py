"""Arrays that a network takes and returns, by name, without torch."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
"""Arrays ``(rows, ...)`` by name."""


def count_rows(values: Arrays) -> int:
    """Return the number of rows of arrays ``(rows, ...)`` by name."""
    return len(next(iter(values.values())))


def take_rows(values: Arrays, start: int, end: int) -> Arrays:
    """Return the rows from ``start`` up to ``end`` of arrays ``(rows, ...)`` by name."""
    return {name: array[start:end] for name, array in values.items()}


def pad_rows(rows: Sequence[NDArray[Any]], *, least: int = 0) -> NDArray[Any]:
    """Pad rows ``(length,)`` with zeros to ``(batch, longest)``, or to ``(batch, least)``."""
    longest = max(least, *(len(row) for row in rows))
    joined = np.zeros((len(rows), longest), dtype=rows[0].dtype)
    for row, values in zip(joined, rows, strict=True):
        row[: len(values)] = values
    return joined

"""Arrays by name that a network takes and returns, without torch."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from numpy.typing import NDArray

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
"""Arrays ``(rows, ...)`` by name."""


def count_rows(values: Arrays) -> int:
    """Return the number of rows of arrays ``(rows, ...)`` by name."""
    return len(next(iter(values.values())))


def take_rows(values: Arrays, start: int, end: int) -> Arrays:
    """Return the rows from ``start`` up to ``end`` of arrays ``(rows, ...)`` by name."""
    return {name: array[start:end] for name, array in values.items()}

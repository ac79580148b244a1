"""Properties of columns, computed on the training rows."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.columns import Column, split_columns

SURE = 0.001
"""Maximum error of a column that determines the target, relative to predicting the majority."""

ROWS_PER_VALUE = 3
"""Minimum number of rows per value; a column with fewer determines any target."""

FEWEST_ROWS = 10
"""Minimum number of rows of each class for a separating threshold not to be a coincidence."""

MOSTLY_THERE = 0.9
"""Minimum share of rows in which a column that determines the target has a value."""

IDENTIFIER = 0.5
"""Number of distinct values per row above which a categorical column is an identifier."""

FEWEST_NUMBERED = 30
"""Minimum number of rows for distinct integers in any order to count as row numbers."""

DENSE = 0.5
"""Minimum share of the integers from the smallest to the largest that row numbers include."""

INDEX_NAMES = re.compile(r"unnamed_1|Unnamed: 0(\.\d+)*|__index_level_\d+__")
"""Names of a first column without a name, which is how pandas and R write the index of the rows."""

FAR = 10
"""Number of interquartile ranges beyond the quartiles from which a value may be impossible."""

LEAP = 4
"""Ratio of an impossible value's distance from the median to that of any value before it."""

RARE = 0.01
"""Share of the rows above which far values are another mode rather than outliers."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training rows of a table, read one column at a time to limit memory.

    Attributes:
        arrays: Cached ``numbers`` and ``categories``, ``(all rows, columns)`` each.
        columns: Columns of the cache.
        rows: Row numbers ``(rows,)`` of the training split.
        targets: Targets ``(rows,)`` or ``(rows, labels)`` of these rows.
    """

    arrays: dict[str, NDArray[Any]]
    columns: Sequence[Column]
    rows: NDArray[np.int64]
    targets: NDArray[np.generic]

    def values(self, column: Column) -> NDArray[Any]:
        """Return the float64 numbers or int32 codes ``(rows,)`` of a column."""
        numbers, categories = split_columns(self.columns)
        if column.is_number:
            return np.asarray(self.arrays["numbers"][self.rows, numbers.index(column)])
        return np.asarray(self.arrays["categories"][self.rows, categories.index(column)])


def is_constant(column: NDArray[np.generic]) -> bool:
    """Whether all values ``(rows,)`` are equal, or all are missing.

    Example:
        >>> is_constant(np.array([3, 3])), is_constant(np.array([np.nan, np.nan]))
        (True, True)
    """
    return bool(np.all(column == column[0]) or np.all(column != column))


def is_identifier(codes: NDArray[np.int32]) -> bool:
    """Whether nearly every row has a value of its own, given the codes ``(rows,)``."""
    return len(np.unique(codes)) > max(IDENTIFIER * len(codes), FEWEST_ROWS)


def is_row_number(values: NDArray[np.float64]) -> bool:
    """Whether numbers ``(rows,)`` number the rows, in their order or in any other.

    Example:
        >>> is_row_number(np.arange(10.0)), is_row_number(np.arange(10.0) ** 2)
        (True, False)
    """
    low, high = values.min(), values.max()
    if np.isnan(low) or np.any(values != np.round(values)) or len(np.unique(values)) < len(values):
        return False
    dense = len(values) >= DENSE * (high - low + 1)
    steps = np.diff(values)
    ordered = len(values) >= FEWEST_ROWS and (np.all(steps > 0) or np.all(steps < 0))
    return bool(dense and (ordered or len(values) >= FEWEST_NUMBERED))


def digest(column: NDArray[np.generic]) -> bytes:
    """Compute the digest of a column ``(rows,)``; equal columns have equal digests."""
    return hashlib.blake2b(np.ascontiguousarray(column).data, digest_size=16).digest()


def category_determines(codes: NDArray[np.int32], targets: NDArray[np.generic]) -> bool:
    """Whether the values of a categorical column determine the target.

    Args:
        codes: Codes of the values ``(rows,)``.
        targets: Classes or numbers ``(rows,)``.
    """
    values, places = np.unique(codes, return_inverse=True)
    if len(codes) < ROWS_PER_VALUE * len(values):
        return False
    if targets.dtype.kind == "f":
        return _explain_variance(places, targets.astype(np.float64))
    classes = int(targets.max()) + 1
    cells = places * classes + targets.astype(np.int64)
    counts = np.bincount(cells, minlength=len(values) * classes)
    mistakes = len(codes) - counts.reshape(-1, classes).max(axis=1).sum()
    majority = np.bincount(targets.astype(np.int64)).max()
    return bool(mistakes <= SURE * (len(codes) - majority))


def number_determines(values: NDArray[np.float64], targets: NDArray[np.generic]) -> bool:
    """Whether thresholds on a column separate the classes, or its order is that of the target.

    Args:
        values: Numbers ``(rows,)``; NaN if missing.
        targets: Classes or numbers ``(rows,)``.
    """
    there = ~np.isnan(values)
    values, targets = values[there], targets[there]
    if there.mean() < MOSTLY_THERE or len(np.unique(targets)) < 2:
        return False
    order = np.lexsort((targets, values))
    values, targets = values[order], targets[order]
    if np.any((values[1:] == values[:-1]) & (targets[1:] != targets[:-1])):
        return False
    if targets.dtype.kind == "f":
        steps = np.diff(targets)
        monotonic = np.all(steps >= 0) or np.all(steps <= 0)
        return bool(monotonic and len(np.unique(values)) >= FEWEST_ROWS)
    _, counts = np.unique(targets, return_counts=True)
    changes = np.count_nonzero(np.diff(targets))
    return bool(counts.min() >= FEWEST_ROWS and changes < len(counts))


def _explain_variance(places: NDArray[np.intp], targets: NDArray[np.float64]) -> bool:
    """Whether the targets ``(rows,)`` hardly vary among rows of one value."""
    means = np.bincount(places, targets) / np.bincount(places)
    return bool(np.var(targets - means[places]) <= SURE**2 * np.var(targets))


def plausible_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Compute the range outside which a value is impossible.

    A value is impossible if it lies ``FAR`` interquartile ranges beyond the quartiles (Tukey 1977
    calls three of them far out) and a large gap separates it from all others, unlike the far tail
    of a skewed column.

    Args:
        values: Finite numbers ``(rows,)``.

    Returns:
        Lowest and highest plausible value; infinite if the values do not bound it.
    """
    if len(values) == 0:
        return -np.inf, np.inf
    middle = float(np.median(values))
    lower, upper = np.quantile(values, [0.25, 0.75])
    if lower == upper and np.any(others := values[values != middle]):
        # Most rows are the same, such as rain that is mostly zero.
        lower, upper = np.quantile(others, [0.25, 0.75])
    spread = float(upper - lower) or abs(float(upper) - middle)
    if spread == 0:
        return -np.inf, np.inf
    above = _reach(values - middle, float(upper) - middle, spread)
    below = _reach(middle - values, middle - float(lower), spread)
    return middle - below, middle + above


def _reach(distances: NDArray[np.float64], quartile: float, spread: float) -> float:
    """Compute the largest plausible distance from the median on one side of it.

    Args:
        distances: Distances ``(rows,)`` from the median, negative on the other side.
        quartile: Distance of the quartile on this side.
        spread: Interquartile range.
    """
    fence = max(quartile, 0.0) + FAR * spread
    side = np.unique(distances[distances > 0])
    before = np.concatenate([[spread], side[:-1]])
    leaps = side[(side > fence) & (side > LEAP * before)]
    if len(leaps) and np.mean(distances >= leaps[0]) <= RARE:
        side = side[side < leaps[0]]
    return max(fence, LEAP * float(side.max(initial=0.0)))

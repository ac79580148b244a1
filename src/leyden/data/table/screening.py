"""Properties of columns, computed on the training rows."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SURE = 0.001
"""Share of the majority's mistakes that a column may leave and still determine the target."""

ROWS_PER_VALUE = 3
"""A column that gives each value to fewer rows determines anything."""

FEWEST_ROWS = 10
"""Rows of every class that a threshold has to get right before that is no coincidence."""

MOSTLY_THERE = 0.9
"""Share of the rows in which a column has to be there to determine the target."""

IDENTIFIER = 0.5
"""Different values per row from which on a categorical column names rows."""


FEWEST_NUMBERED = 30
"""Rows that different whole numbers have to number before that is no coincidence."""

DENSE = 0.5
"""Share of the numbers between the first and the last that number the rows of a table."""

INDEX_NAMES = re.compile(r"unnamed_1|Unnamed: 0(\.\d+)*|__index_level_\d+__")
"""Names of a first column that has none, which is how pandas and R write the index of the rows."""


def is_constant(column: NDArray[np.generic]) -> bool:
    """Tell whether all rows ``(rows,)`` hold the same, be it nothing."""
    return bool(np.all(column == column[0]) or np.all(column != column))


def is_identifier(codes: NDArray[np.int32]) -> bool:
    """Tell whether nearly every row ``(rows,)`` has a value of its own."""
    return len(np.unique(codes)) > max(IDENTIFIER * len(codes), FEWEST_ROWS)


def is_row_number(values: NDArray[np.float64]) -> bool:
    """Return whether whole numbers ``(rows,)`` number the rows, in their order or in any other."""
    low, high = values.min(), values.max()
    if np.isnan(low) or np.any(values != np.round(values)) or len(np.unique(values)) < len(values):
        return False
    dense = len(values) >= DENSE * (high - low + 1)
    steps = np.diff(values)
    ordered = len(values) >= FEWEST_ROWS and (np.all(steps > 0) or np.all(steps < 0))
    return bool(dense and (ordered or len(values) >= FEWEST_NUMBERED))


def digest(column: NDArray[np.generic]) -> bytes:
    """Digest a column ``(rows,)``; equal columns have equal digests."""
    return hashlib.blake2b(np.ascontiguousarray(column).data, digest_size=16).digest()


def category_determines(codes: NDArray[np.int32], targets: NDArray[np.generic]) -> bool:
    """Tell whether the values ``(rows,)`` of a column leave no doubt about the target."""
    values, places = np.unique(codes, return_inverse=True)
    if len(codes) < ROWS_PER_VALUE * len(values):
        return False
    if targets.dtype.kind == "f":
        return _explained(places, targets.astype(np.float64))
    classes = int(targets.max()) + 1
    cells = places * classes + targets.astype(np.int64)
    counts = np.bincount(cells, minlength=len(values) * classes)
    mistakes = len(codes) - counts.reshape(-1, classes).max(axis=1).sum()
    majority = np.bincount(targets.astype(np.int64)).max()
    return bool(mistakes <= SURE * (len(codes) - majority))


def number_determines(values: NDArray[np.float64], targets: NDArray[np.generic]) -> bool:
    """Tell whether thresholds on a column ``(rows,)`` give the class, or its order the number."""
    there = ~np.isnan(values)
    values, targets = values[there], targets[there]
    if there.mean() < MOSTLY_THERE or len(np.unique(targets)) < 2:
        return False
    order = np.lexsort((targets, values))
    values, targets = values[order], targets[order]
    if targets.dtype.kind == "f":
        enough = len(np.unique(values)) >= FEWEST_ROWS and _one_target_a_value(values, targets)
        steps = np.diff(targets)
        return bool(enough and (np.all(steps >= 0) or np.all(steps <= 0)))
    _, counts = np.unique(targets, return_counts=True)
    changes = np.count_nonzero(np.diff(targets))
    enough = counts.min() >= FEWEST_ROWS
    return bool(enough and changes < len(counts) and _one_target_a_value(values, targets))


def _one_target_a_value(values: NDArray[np.float64], targets: NDArray[np.generic]) -> bool:
    """Tell whether equal values, which stand side by side, have equal targets."""
    return not np.any((values[1:] == values[:-1]) & (targets[1:] != targets[:-1]))


def _explained(places: NDArray[np.intp], targets: NDArray[np.float64]) -> bool:
    """Tell whether the targets within each value hardly differ."""
    means = np.bincount(places, targets) / np.bincount(places)
    return bool(np.var(targets - means[places]) <= SURE**2 * np.var(targets))


FAR = 10
"""Interquartile ranges beyond the quartiles from which on a value may be impossible."""

LEAP = 4
"""How many times as far from the median as any value before it an impossible value lies."""

RARE = 0.01
"""More rows than this share are no outliers, but another mode."""


def plausible_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Find the range outside which a value is impossible.

    A value is impossible where it lies ``FAR`` interquartile ranges beyond the quartiles (Tukey
    1977 calls three of them far out) and also leaps away from all the others, which the far tail
    of a skewed column does not.

    Args:
        values: ``(rows,)`` finite.

    Returns:
        Lowest and highest plausible value; infinite where nothing can be said.
    """
    if len(values) == 0:
        return -np.inf, np.inf
    middle = float(np.median(values))
    lower, upper = np.quantile(values, [0.25, 0.75])
    if lower == upper and np.any(others := values[values != middle]):
        # Most rows are the same, such as rain that is mostly none.
        lower, upper = np.quantile(others, [0.25, 0.75])
    spread = float(upper - lower) or abs(float(upper) - middle)
    if spread == 0:
        return -np.inf, np.inf
    above = _reach(values - middle, float(upper) - middle, spread)
    below = _reach(middle - values, middle - float(lower), spread)
    return middle - below, middle + above


def _reach(distances: NDArray[np.float64], quartile: float, spread: float) -> float:
    """Find how far on one side of the median values are plausible."""
    fence = max(quartile, 0.0) + FAR * spread
    side = np.unique(distances[distances > 0])
    before = np.concatenate([[spread], side[:-1]])
    leaps = side[(side > fence) & (side > LEAP * before)]
    if len(leaps) and np.mean(distances >= leaps[0]) <= RARE:
        side = side[side < leaps[0]]
    return max(fence, LEAP * float(side.max(initial=0.0)))


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training rows, a column at a time, so that memory stays bounded.

    Attributes:
        arrays: the cached ``numbers`` and ``categories``.
        rows: numbers of the training rows.
        targets: ``(rows,)`` of these rows, or ``(rows, labels)``.
    """

    arrays: dict[str, NDArray[Any]]
    rows: NDArray[np.int64]
    targets: NDArray[np.generic]

    def number(self, place: int) -> NDArray[np.float64]:
        """Give a numeric column ``(rows,)``."""
        return np.asarray(self.arrays["numbers"][self.rows, place])

    def category(self, place: int) -> NDArray[np.int32]:
        """Give the codes ``(rows,)`` of a categorical column."""
        return np.asarray(self.arrays["categories"][self.rows, place])

"""What a column of numbers may plausibly hold, judged by its training rows."""

import numpy as np
from numpy.typing import NDArray

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

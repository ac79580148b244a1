"""Splitting rows into training, validation and test parts."""

import numpy as np
from numpy.typing import NDArray

RowNumbers = NDArray[np.int64]


def stratified_split(
    rows: RowNumbers, targets: NDArray[np.generic], *, fraction: float, seed: int
) -> tuple[RowNumbers, RowNumbers]:
    """Set a fraction of the rows of every class apart, at random.

    Args:
        rows: ``(n,)`` row numbers.
        targets: ``(n,)`` class of each of these rows.
        fraction: share to set apart, in [0, 1).
        seed: same seed, same split.

    Returns:
        The rows that remain and those set apart, each sorted. A class of one row remains whole.
    """
    random = np.random.default_rng(seed)
    apart = np.zeros(len(rows), dtype=bool)
    for target in np.unique(targets):
        members = random.permutation(np.flatnonzero(targets == target))
        apart[members[: round(fraction * len(members))]] = True
        if len(members) == 1:
            apart[members] = False
    return np.sort(rows[~apart]), np.sort(rows[apart])

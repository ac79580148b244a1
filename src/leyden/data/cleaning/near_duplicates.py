"""Near-duplicates by MinHash and locality-sensitive hashing (LSH).

A MinHash signature is a row of min-wise hashes, as in Broder 1997, "On the resemblance and
containment of documents": the share of equal columns of two rows estimates the Jaccard similarity
of the sets they were made of. LSH compares only the pairs that are equal in a whole band of columns
(Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", section 3.4).
"""

import numpy as np
from numpy.typing import NDArray

from leyden.data.identity import find_repeated

NEAR = 0.8
"""Share of equal columns from which two rows count as near-duplicates."""

NO_SIGNATURE = 2**32 - 1
"""In every column of a row that is not to be compared; the smallest of some hashes never is it."""

BAND_COLUMNS = 4
"""With 64 columns, a pair of similarity 0.8 is compared with probability 0.9998."""

MOST_ROUNDS = 100
"""Rows of one bucket that others are compared with, so that no bucket costs its size squared."""


def near_twins(
    signatures: NDArray[np.uint32],
    *,
    contents: NDArray[np.void],
    order: NDArray[np.intp],
    fixed: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Find for each row one that is nearly the same and comes before it in an order.

    Args:
        signatures: ``(rows, columns)`` uint32 MinHash signatures.
        contents: ``(rows,)`` digest of each row. Rows of equal content are not near-duplicates:
            whether they are kept is decided elsewhere.
        order: ``(n,)`` numbers of the rows to compare, those to keep first.
        fixed: ``(rows,)`` bool; rows that are kept even if they have a twin, and so may be one.

    Returns:
        ``(rows,)`` number of the twin, or -1.
    """
    order = order[signatures[order, 0] != NO_SIGNATURE]
    twins = np.full(len(signatures), -1, dtype=np.intp)
    for first in range(0, signatures.shape[1], BAND_COLUMNS):
        rows = order[(twins[order] < 0) | fixed[order]]
        band = signatures[rows, first : first + BAND_COLUMNS]
        alike = find_repeated(_mixed(band))
        rows, band = rows[alike], band[alike]
        _, buckets = np.unique(band, axis=0, return_inverse=True)
        _compare(signatures, contents, rows, buckets, twins, fixed)
    return twins


def in_contexts(signatures: NDArray[np.uint32], contexts: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Change signatures ``(rows, columns)`` so that rows of two contexts ``(rows,)`` share none."""
    mixed = signatures ^ contexts.astype(np.uint32)[:, np.newaxis]
    return np.where(signatures == NO_SIGNATURE, signatures, mixed)


def _mixed(band: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Mix the columns of a band ``(rows, columns)`` to one key; equal rows have equal keys."""
    mixed = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _compare(
    signatures: NDArray[np.uint32],
    contents: NDArray[np.void],
    rows: NDArray[np.intp],
    buckets: NDArray[np.intp],
    twins: NDArray[np.intp],
    fixed: NDArray[np.bool_],
) -> None:
    """Compare the rows of each bucket to its first one, then what is left to the next one."""
    for _ in range(MOST_ROUNDS):
        crowded = np.bincount(buckets)[buckets] > 1
        rows, buckets = rows[crowded], buckets[crowded]
        if len(rows) == 0:
            return
        _, leaders, buckets = np.unique(buckets, return_index=True, return_inverse=True)
        leader = rows[leaders[buckets]]
        equal = contents[rows] == contents[leader]
        near = ~equal & ((signatures[rows] == signatures[leader]).mean(axis=1) >= NEAR)
        found = near & (twins[rows] < 0)
        twins[rows[found]] = leader[found]
        left = ~equal & (~near | fixed[rows])
        rows, buckets = rows[left], buckets[left]

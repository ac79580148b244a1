"""Near-duplicates by MinHash and locality-sensitive hashing (LSH).

A MinHash signature is a row of min-wise hashes, as in Broder 1997, "On the resemblance and
containment of documents": the share of equal columns of two rows estimates the Jaccard similarity
of the sets that they represent. LSH compares only rows that are equal in a whole band of columns
(Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", section 3.4).
"""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from leyden.data.identity import find_repeated, mix_keys

NEAR = 0.8
"""Minimum share of equal columns of near-duplicates."""

NO_SIGNATURE = 2**32 - 1
"""Value of every column of a row that is not compared; a minimum of hashes never has it."""

BAND_COLUMNS = 4
"""Columns of a band: of 64 columns, a pair of similarity 0.8 is compared with p = 0.9998."""

MOST_ROUNDS = 100
"""Number of rows of a bucket that others are compared with; limits the cost of large buckets."""


def find_near_duplicates(
    signatures: NDArray[np.uint32],
    *,
    contents: NDArray[np.void],
    order: NDArray[np.intp],
    fixed: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Return for each row the number of a near-duplicate that precedes it in a given order.

    Args:
        signatures: MinHash signatures ``(rows, columns)`` (uint32).
        contents: Digests ``(rows,)`` of the rows. Rows of equal content are not near-duplicates;
            the step ``duplicates`` finds them.
        order: Numbers ``(n,)`` of the rows to compare, in order of preference.
        fixed: Mask ``(rows,)`` (bool) of rows that are kept even if they have a near-duplicate,
            and so may be the near-duplicate of others.

    Returns:
        Row numbers ``(rows,)`` (int64), -1 for rows without a near-duplicate.
    """
    order = order[signatures[order, 0] != NO_SIGNATURE]
    twins = np.full(len(signatures), -1, dtype=np.intp)
    for first in range(0, signatures.shape[1], BAND_COLUMNS):
        rows = order[(twins[order] < 0) | fixed[order]]
        band = signatures[rows, first : first + BAND_COLUMNS]
        alike = find_repeated(reduce(mix_keys, band.T, np.zeros(len(band), np.uint64)))
        rows, band = rows[alike], band[alike]
        _, buckets = np.unique(band, axis=0, return_inverse=True)
        _compare(signatures, contents, rows, buckets, twins, fixed)
    return twins


def separate_contexts(
    signatures: NDArray[np.uint32], contexts: NDArray[np.uint64]
) -> NDArray[np.uint32]:
    """Change signatures so that rows of different contexts are not near-duplicates.

    Args:
        signatures: MinHash signatures ``(rows, columns)`` (uint32).
        contexts: Hashes ``(rows,)`` (uint64) of the rows' groups and times.

    Returns:
        Signatures ``(rows, columns)`` (uint32).
    """
    mixed = signatures ^ contexts.astype(np.uint32)[:, np.newaxis]
    return np.where(signatures == NO_SIGNATURE, signatures, mixed)


def _compare(
    signatures: NDArray[np.uint32],
    contents: NDArray[np.void],
    rows: NDArray[np.intp],
    buckets: NDArray[np.intp],
    twins: NDArray[np.intp],
    fixed: NDArray[np.bool_],
) -> None:
    """Compare the rows of each bucket with its first one, then the rest with the next one."""
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

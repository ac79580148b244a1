"""Signatures of texts, whose share of equal columns estimates how much wording they share."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SHINGLE_WORDS = 3

COLUMNS = 64

_RANDOM = np.random.default_rng(0)
_FACTORS = _RANDOM.integers(0, 2**63, COLUMNS, dtype=np.uint64) * 2 + 1
_OFFSETS = _RANDOM.integers(0, 2**63, COLUMNS, dtype=np.uint64)


def signatures(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Give the min-wise hashes of the texts' shingles: runs of some words, whatever their case.

    Broder 1997, "On the resemblance and containment of documents", with the multiply-shift hashes
    of Dietzfelbinger et al. 1997.

    Returns:
        ``(texts, COLUMNS)``.
    """
    if not texts:
        return np.empty((0, COLUMNS), dtype=np.uint32)
    # Blanks behind the last word give texts of few words, or none, a shingle too.
    words = [[zlib.crc32(word.encode()) for word in text.lower().split()] or [0] for text in texts]
    padded = [[*row, *[0] * (SHINGLE_WORDS - 1)] for row in words]
    hashes = np.concatenate([np.array(row, dtype=np.uint64) for row in padded])
    shingles = _mixed(hashes, [len(row) for row in words])
    starts = np.cumsum([0, *map(len, words[:-1])])
    columns = [
        np.minimum.reduceat((shingles * factor + offset) >> np.uint64(32), starts)
        for factor, offset in zip(_FACTORS, _OFFSETS, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.uint32)


def _mixed(hashes: NDArray[np.uint64], lengths: Sequence[int]) -> NDArray[np.uint64]:
    """Mix the hashes of each run of words; a text of so many words begins as many runs."""
    ends = np.cumsum([length + SHINGLE_WORDS - 1 for length in lengths])
    first = np.ones(len(hashes), dtype=bool)
    for blank in range(1, SHINGLE_WORDS):
        first[ends - blank] = False
    begins = np.flatnonzero(first)
    mixed = np.zeros(len(begins), dtype=np.uint64)
    for position in range(SHINGLE_WORDS):
        mixed = (mixed ^ hashes[begins + position]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed

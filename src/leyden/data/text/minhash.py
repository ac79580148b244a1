"""MinHash signatures of texts, which estimate the Jaccard similarity of their shingles."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leyden.data.cleaning.near_duplicates import NEAR, NO_SIGNATURE

SHINGLE_WORDS = 3
"""Number of words in a shingle."""

COLUMNS = 64
"""Number of hash functions, which is the number of columns of a signature."""

FEWEST_WORDS = round(SHINGLE_WORDS * (1 + NEAR) / (1 - NEAR)) + SHINGLE_WORDS - 1
"""Minimum number of words for a similarity of ``NEAR`` to a copy with one changed word.

Shorter texts would be near duplicates only if they were equal except for case, but the "Ok" and
"OK" of two people are not copies of one text.
"""

_RANDOM = np.random.default_rng(0)
_FACTORS = _RANDOM.integers(0, 2**63, COLUMNS, dtype=np.uint64) * 2 + 1
_OFFSETS = _RANDOM.integers(0, 2**63, COLUMNS, dtype=np.uint64)


def signatures(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Compute the MinHash signatures of texts, from their shingles: runs of words in lower case.

    Broder 1997, "On the resemblance and containment of documents", with the multiply-shift hashes
    of Dietzfelbinger et al. 1997.

    Returns:
        Signatures, uint32 ``(texts, COLUMNS)``; ``NO_SIGNATURE`` for texts of fewer than
        ``FEWEST_WORDS`` words.

    Example:
        >>> first, second = signatures([f"{'la ' * 30} end", f"{'LA ' * 30} end"])
        >>> bool((first == second).all())
        True
    """
    words = [text.lower().split() for text in texts]
    long = [row for row, each in enumerate(words) if len(each) >= FEWEST_WORDS]
    found = np.full((len(texts), COLUMNS), NO_SIGNATURE, dtype=np.uint32)
    if long:
        found[long] = _min_hashes([words[row] for row in long])
    return found


def _min_hashes(texts: Sequence[Sequence[str]]) -> NDArray[np.uint32]:
    """Compute signatures, uint32 ``(texts, COLUMNS)``, of texts with at least one shingle."""
    words = [zlib.crc32(word.encode()) for text in texts for word in text]
    counts = np.array([len(text) - SHINGLE_WORDS + 1 for text in texts])
    shingles = _shingles(np.array(words, dtype=np.uint64), counts)
    starts = np.cumsum(counts) - counts
    columns = [
        np.minimum.reduceat((shingles * factor + offset) >> np.uint64(32), starts)
        for factor, offset in zip(_FACTORS, _OFFSETS, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.uint32)


def _shingles(words: NDArray[np.uint64], counts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Hash the shingles of concatenated texts.

    Args:
        words: Hashes ``(words,)`` of the words of all texts.
        counts: Number of shingles ``(texts,)`` of each text.

    Returns:
        Hashes, uint64 ``(shingles,)``.
    """
    mixed = np.zeros(len(words) - SHINGLE_WORDS + 1, dtype=np.uint64)
    for position in range(SHINGLE_WORDS):
        mixed = (mixed ^ words[position : position + len(mixed)]) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    ends = np.cumsum(counts + SHINGLE_WORDS - 1)[:-1]
    across = [ends - overlap for overlap in range(1, SHINGLE_WORDS)]  # shingles across two texts
    return np.delete(mixed, np.concatenate(across))

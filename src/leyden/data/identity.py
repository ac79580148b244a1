"""Identity of rows: 64-bit hashes of their paths or contents, by which they are split.

A row therefore keeps its split when other rows are added or removed.
"""

import hashlib
import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

KEYS_AT_ONCE = 1 << 16
"""Keys that are looked up together, to limit memory."""

FEW_VALUES = 10
"""Rows per distinct row from which equal rows are separate observations, not repeats."""


def hash_names(names: Iterable[str | bytes]) -> Keys:
    """Return the uint64 hashes ``(names,)`` of names; they are the same on every machine."""
    return np.array([_hash(name) for name in names], dtype=np.uint64)


def mix_keys(keys: Keys, value: int | Keys) -> Keys:
    """Combine keys ``(rows,)`` with other numbers, by the finalizer of SplitMix64.

    Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators", figure 13.
    """
    mix = keys * np.uint64(0x9E3779B97F4A7C15) + np.asarray(value, dtype=np.uint64)
    mix = (mix ^ (mix >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mix = (mix ^ (mix >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mix ^ (mix >> np.uint64(31))


def separate_repeats(keys: Keys) -> Keys:
    """Give equal rows different keys if most rows are repeated, as in a table of few categories.

    A few equal rows may be one that was recorded twice, so they share a key and thereby a split. If
    every row is repeated many times, splits of whole sets of equal rows would represent nothing.

    Args:
        keys: ``(rows,)`` hashes of the rows' content.

    Returns:
        ``(rows,)`` the same keys; or, if rows are repeated ``FEW_VALUES`` times on average, keys in
        which only the first of equal rows keeps its own.
    """
    distinct, members = np.unique(keys, return_inverse=True)
    if len(keys) < FEW_VALUES * len(distinct):
        return keys
    order = np.argsort(members, kind="stable")
    starts = np.searchsorted(members[order], np.arange(len(distinct)))
    repeats = np.empty(len(keys), dtype=np.uint64)
    repeats[order] = np.arange(len(keys)) - starts[members[order]]
    return np.where(repeats > 0, mix_keys(keys, repeats), keys)


def _hash(name: str | bytes) -> int:
    if isinstance(name, str):
        # Systems write one name in several normal forms, and names of files need not be Unicode.
        name = unicodedata.normalize("NFC", name).encode(errors="surrogateescape")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def find_repeated(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return a mask ``(rows,)`` of the keys that occur more than once, in 8 bytes per row.

    Example:
        >>> find_repeated(np.array([5, 7, 5], np.uint64)).tolist()
        [True, False, True]
    """
    ordered = np.sort(keys)
    several = ordered[1:][ordered[1:] == ordered[:-1]]
    del ordered
    found = np.zeros(len(keys), dtype=bool)
    if len(several):
        for start in range(0, len(keys), KEYS_AT_ONCE):
            chunk = keys[start : start + KEYS_AT_ONCE]
            places = np.searchsorted(several, chunk).clip(max=len(several) - 1)
            found[start : start + KEYS_AT_ONCE] = several[places] == chunk
    return found

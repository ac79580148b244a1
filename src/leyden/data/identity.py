"""Identity of rows: 64-bit hashes of their paths or contents, by which rows are split."""

import hashlib
import unicodedata
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]

KEYS_AT_ONCE = 1 << 16
"""Number of keys that are looked up together, to limit memory."""

FEW_VALUES = 10
"""Mean number of equal rows from which they count as separate observations, not as repeats."""


def hash_names(names: Iterable[str | bytes]) -> Keys:
    """Return hashes ``(names,)`` (uint64) of names, which are the same on every machine."""
    return np.array([_hash(name) for name in names], dtype=np.uint64)


def mix_keys(keys: Keys, value: int | Keys) -> Keys:
    """Combine keys with a number, or with one number per row, by the finalizer of SplitMix64.

    Source: Steele et al. 2014, "Fast Splittable Pseudorandom Number Generators", figure 13.

    Args:
        keys: Keys ``(rows,)`` (uint64).
        value: Non-negative number, or numbers ``(rows,)``, of up to 64 bits.

    Returns:
        Keys ``(rows,)`` (uint64).
    """
    mix = keys * np.uint64(0x9E3779B97F4A7C15) + np.asarray(value, dtype=np.uint64)
    mix = (mix ^ (mix >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mix = (mix ^ (mix >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mix ^ (mix >> np.uint64(31))


def separate_repeats(keys: Keys) -> Keys:
    """Return different keys for equal rows if rows are repeated often, as in tables of categories.

    A few equal rows may be one observation that was recorded twice, so they share a key and thereby
    a split. If every row is repeated many times, splits that hold all rows of some values and none
    of others would not be representative.

    Args:
        keys: Hashes ``(rows,)`` (uint64) of the contents of the rows.

    Returns:
        The same keys ``(rows,)``; or, if distinct rows occur ``FEW_VALUES`` times on average, keys
        of which only the first of equal rows keeps its own.
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
    """Return a mask ``(rows,)`` of the keys that occur more than once.

    It needs little more memory than a sorted copy of the keys.

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

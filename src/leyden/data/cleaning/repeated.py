"""Finding what stands somewhere more than once, in little memory."""

import numpy as np
from numpy.typing import NDArray

KEYS_AT_ONCE = 1 << 16


def repeated(keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which keys ``(rows,)`` another row has too; it takes 8 bytes of memory a row."""
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

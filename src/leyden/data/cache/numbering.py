"""Class indices for names that come chunk by chunk."""

import numpy as np
from numpy.typing import NDArray

from leyden.data.values import merged


class Numbering:
    """Numbers names as they come; which of them are equal, and their order, is known at the end."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """The names so far in sorted order, one for all that are equal."""
        return sorted(set(merged(list(self._numbers)).values()))

    def numbers(self, names: NDArray[np.generic]) -> NDArray[np.int64]:
        """Number names ``(rows,)`` in the order in which they first came."""
        distinct, places = np.unique(names, return_inverse=True)
        known = self._numbers
        numbers = [known.setdefault(str(name), len(known)) for name in distinct.tolist()]
        return np.array(numbers, dtype=np.int64)[places]

    def places(self) -> NDArray[np.int64]:
        """Return the place ``(numbers,)`` among ``names`` of the name of each number."""
        spelled = merged(list(self._numbers))
        places = {name: place for place, name in enumerate(self.names)}
        return np.array([places[spelled[name]] for name in self._numbers], dtype=np.int64)

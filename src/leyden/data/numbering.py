"""Numbers for names that come chunk by chunk."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Numbering:
    """Numbers names as they come; those of their order are known when all have come."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    @property
    def names(self) -> list[Any]:
        """The names so far, in order."""
        return sorted(self._numbers)

    def numbers(self, names: NDArray[np.generic]) -> NDArray[np.int64]:
        """Number names ``(rows,)`` in the order in which they first came."""
        distinct, places = np.unique(names, return_inverse=True)
        known = self._numbers
        numbers = [known.setdefault(name, len(known)) for name in distinct.tolist()]
        return np.array(numbers, dtype=np.int64)[places]

    def places(self) -> NDArray[np.int64]:
        """Give for each number its name's place among the names in order."""
        places = np.empty(len(self._numbers), dtype=np.int64)
        places[[self._numbers[name] for name in self.names]] = np.arange(len(places))
        return places

"""The training rows of a cached table."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Training:
    """The training rows, a column at a time, so that memory stays bounded.

    Attributes:
        arrays: the cached ``numbers`` and ``categories``.
        rows: numbers of the training rows.
        targets: ``(rows,)`` of these rows, or ``(rows, labels)``.
    """

    arrays: dict[str, NDArray[Any]]
    rows: NDArray[np.int64]
    targets: NDArray[np.generic]

    def number(self, place: int) -> NDArray[np.float64]:
        """Give a numeric column ``(rows,)``."""
        return np.asarray(self.arrays["numbers"][self.rows, place])

    def category(self, place: int) -> NDArray[np.int32]:
        """Give the codes ``(rows,)`` of a categorical column."""
        return np.asarray(self.arrays["categories"][self.rows, place])

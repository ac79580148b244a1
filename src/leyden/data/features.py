"""Features of rows for models other than networks."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features of rows; each kind of data gives what its rows have.

    Attributes:
        numbers: ``(rows, columns)`` float32.
        categories: Codes from 0, ``(rows, columns)`` int64.
        cardinalities: Number of codes of each column of ``categories``.
        sparse: ``(rows, columns)`` float32 in the layout ``torch.sparse_csr``; ``None`` if there
            are none.
    """

    numbers: Tensor
    categories: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.int64))
    cardinalities: Sequence[int] = ()
    sparse: Tensor | None = None

    def __len__(self) -> int:
        return len(self.numbers)


def concatenate(chunks: Sequence[Features]) -> Features:
    """Join chunks of rows that have no sparse features."""
    return Features(
        numbers=torch.cat([chunk.numbers for chunk in chunks]),
        categories=torch.cat([chunk.categories for chunk in chunks]),
        cardinalities=chunks[0].cardinalities,
    )

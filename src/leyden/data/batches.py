"""Whole batches, fetched from the cache at once."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch
from leyden.data.cache import Cache

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""Changes a batch of raw rows ``(batch, ...)`` at random; same shape and dtype out."""


class CachedRows(Dataset[Batch]):
    """Rows of one shape."""

    def __init__(self, cached: Cache) -> None:
        self.inputs = {name: torch.from_numpy(array) for name, array in cached.arrays.items()}
        self.targets = torch.from_numpy(cached.targets)

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        # Copies whole rows, while array[rows] looks at each number of them.
        inputs = {name: array.index_select(0, rows) for name, array in self.inputs.items()}
        targets = self.targets.index_select(0, rows)
        return Batch(inputs=inputs, targets=targets, rows=rows, seed=seed)


def as_it_is(batch: Any) -> Any:
    """Collate nothing: the loader's default would look through every batch for arrays."""
    return batch


def augmented(
    inputs: Mapping[str, Tensor],
    field: str,
    augmentations: Mapping[str, Augmentation],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Apply augmentations, in their order, to one field of a batch's inputs."""
    values = inputs[field]
    for augmentation in augmentations.values():
        values = augmentation(values, generator)
    return {**inputs, field: values}

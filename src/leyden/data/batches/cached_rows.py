"""Whole batches, fetched from the cache at once."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch
from leyden.data.cache.prepared import Cache

CPU = torch.device("cpu")

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""Changes a batch of raw rows ``(batch, ...)`` at random; same shape and dtype out."""


SHARE_OF_FREE_MEMORY = 0.5
"""What rows may take of a GPU; the rest is for the network and its activations."""


class CachedRows(Dataset[Batch]):
    """Rows of one shape, mapped from disk."""

    def __init__(self, cached: Cache) -> None:
        self.inputs = {name: torch.from_numpy(array) for name, array in cached.arrays.items()}
        self.targets = torch.from_numpy(cached.targets)

    def move_to(self, device: torch.device) -> bool:
        """Move all rows to a GPU that has room for them, so that nothing but numbers travels.

        Returns:
            Whether they are there.
        """
        if device.type == "cuda" and self.targets.device != device and self._fit(device):
            self.inputs = {name: array.to(device) for name, array in self.inputs.items()}
            self.targets = self.targets.to(device)
        return self.targets.device != CPU

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key[0], key[1].to(self.targets.device, non_blocking=True)
        inputs = {name: array.index_select(0, rows) for name, array in self.inputs.items()}
        targets = self.targets.index_select(0, rows)
        return Batch(inputs=inputs, targets=targets, rows=rows, seed=seed)

    def _fit(self, device: torch.device) -> bool:
        size = sum(array.nbytes for array in (*self.inputs.values(), self.targets))
        free, _ = torch.cuda.mem_get_info(device)
        return bool(size <= SHARE_OF_FREE_MEMORY * free)


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


def switched_on(
    augmentations: Mapping[str, Augmentation | None] | None,
) -> dict[str, Augmentation]:
    """Leave out the augmentations that a config has set to ``None``."""
    return {name: item for name, item in (augmentations or {}).items() if item is not None}

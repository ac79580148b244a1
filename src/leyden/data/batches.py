"""Whole batches, fetched from the cache at once."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch
from leyden.data.cache import Cache


class CachedRows(Dataset[Batch]):
    """Rows of one shape."""

    def __init__(self, cached: Cache) -> None:
        self.inputs = {name: torch.from_numpy(array) for name, array in cached.arrays.items()}
        self.targets = torch.from_numpy(cached.targets)

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        inputs = {name: array[rows] for name, array in self.inputs.items()}
        return Batch(inputs=inputs, targets=self.targets[rows], rows=rows, seed=seed)

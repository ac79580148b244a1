"""Batches of the rows of a table."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch, as_tensors
from leyden.data.cache.prepared import Cache
from leyden.data.table.encoding import Layout


class TableBatches(Dataset[Batch]):
    """Fetch whole batches of rows of a cached table.

    Inputs: ``numbers`` and ``categories`` as in ``Layout.inputs``.

    Args:
        cached: Cached rows.
        layout: Layout of the fitted columns in the cache.
    """

    def __init__(self, cached: Cache, layout: Layout) -> None:
        self.numbers = cached.arrays["numbers"]
        self.categories = cached.arrays["categories"]
        self.targets = torch.from_numpy(cached.targets)
        self.layout = layout

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        places = rows.numpy()
        inputs = self.layout.inputs(self.numbers[places], self.categories[places])
        return Batch(inputs=as_tensors(inputs), targets=self.targets[rows], rows=rows, seed=seed)

"""Batches whose inputs are read by a function."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch, as_tensors


class FetchedRows(Dataset[Batch]):
    """Fetch whole batches of rows that are not tensors of one shape.

    Args:
        fetch: Function that returns the raw inputs ``(batch, ...)`` of row numbers ``(batch,)``.
        targets: Targets ``(rows, ...)`` of all rows.
    """

    def __init__(
        self,
        fetch: Callable[[NDArray[np.int64]], Mapping[str, NDArray[Any]]],
        targets: NDArray[Any],
    ) -> None:
        self.fetch = fetch
        self.targets = torch.from_numpy(targets)

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        inputs = as_tensors(self.fetch(rows.numpy()))
        return Batch(inputs=inputs, targets=self.targets[rows], rows=rows, seed=seed)

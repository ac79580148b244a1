"""Batches of texts of uneven length."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch, as_tensors
from leyden.data.rows import Ragged
from leyden.data.text.tokens import pad_tokens


class TokenBatches(Dataset[Batch]):
    """Fetch whole batches of token ids, padded to the longest row.

    Inputs: ``tokens`` and ``mask`` as in ``pad_tokens``.

    Args:
        tokens: Token ids of all rows.
        targets: Targets ``(rows,)`` of all rows.
    """

    def __init__(self, tokens: Ragged, targets: NDArray[Any]) -> None:
        self.tokens = tokens
        self.targets = torch.from_numpy(targets)

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        inputs = as_tensors(pad_tokens(self.tokens, rows.numpy()))
        return Batch(inputs=inputs, targets=self.targets[rows], rows=rows, seed=seed)

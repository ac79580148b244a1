"""Scaling of spectrograms per mel bin, fitted on the training rows."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

ROWS_TO_FIT = 4096
"""Enough clips for the mean of a mel bin to a hundredth of its standard deviation."""


def rows_to_fit(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return at most ``ROWS_TO_FIT`` evenly spaced row numbers.

    >>> len(rows_to_fit(np.arange(10_000)))
    3334
    """
    return rows[:: -(-len(rows) // ROWS_TO_FIT)]


def mel_statistics(spectrograms: Iterable[Tensor]) -> dict[str, Tensor]:
    """Compute the mean and standard deviation of each mel bin.

    Args:
        spectrograms: Log-mel spectrograms ``(batch, 1, mels, frames)`` each, of any batch size and
            length.

    Returns:
        ``mean`` and ``std``, float32 ``(mels,)`` each.
    """
    total = squares = torch.zeros((), dtype=torch.float64)
    count = 0
    for batch in spectrograms:
        values = batch.double()
        total = total + values.sum(dim=(0, 1, 3))
        squares = squares + values.square().sum(dim=(0, 1, 3))
        count += len(values) * values.shape[3]
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=0).sqrt()
    return {"mean": mean.float(), "std": std.float()}


class NormaliseMels(nn.Module):
    """Scale log-mel spectrograms to zero mean and unit variance per mel bin.

    Args:
        mean: Means ``(mels,)`` of the training rows.
        std: Standard deviations ``(mels,)`` of the training rows; a constant bin is only centred.
    """

    def __init__(self, *, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        scale = torch.where(std > 0, std, torch.ones_like(std)).reciprocal()
        self.scale = nn.Buffer(scale.view(1, 1, -1, 1))
        self.offset = nn.Buffer((-mean * scale).view(1, 1, -1, 1))

    def forward(self, spectrograms: Tensor) -> Tensor:
        """Scale spectrograms ``(batch, 1, mels, frames)`` float32."""
        return torch.addcmul(self.offset, spectrograms, self.scale)

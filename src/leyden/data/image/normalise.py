"""Scaling of images per channel, fitted on the training rows."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

BYTES_AT_ONCE = 1 << 16
"""Bytes summed at once: they fit into a CPU's cache, and their sums into 32 bits."""


def channel_statistics(images: NDArray[np.uint8], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Compute the mean and standard deviation of each channel, in units of 0 to 1.

    Sums are exact, so that the standard deviation of a constant channel is zero.

    Args:
        images: Pixels ``(all rows, channels, height, width)``.
        rows: Row numbers ``(rows,)`` to fit on.

    Returns:
        ``mean`` and ``std``, float32 ``(channels,)`` each.
    """
    _, channels, height, width = images.shape
    at_once = max(1, BYTES_AT_ONCE // (channels * height * width))
    total = squares = np.zeros(channels)
    for start in range(0, len(rows), at_once):
        sums = channel_sums(images[rows[start : start + at_once]])
        total, squares = total + sums[0], squares + sums[1]
    count = len(rows) * height * width
    mean = total / count / 255
    std = np.sqrt(np.maximum(count * squares - total**2, 0.0)) / count / 255
    return {"mean": torch.tensor(mean).float(), "std": torch.tensor(std).float()}


def channel_sums(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Sum the pixels and their squares per channel, exactly in integers.

    Args:
        images: Pixels ``(rows, channels, height, width)`` of at most 66,051 rows.

    Returns:
        Sums and sums of squares, ``(2, channels)``.

    >>> channel_sums(np.full((2, 1, 3, 3), 10, np.uint8)).tolist()
    [[180], [1800]]
    """
    rows, channels, height, width = images.shape
    pixels = images.reshape(rows, channels * height * width)
    squares = np.multiply(pixels, pixels, dtype=np.uint16)  # holds 255**2
    sums = np.stack([each.sum(axis=0, dtype=np.uint32) for each in (pixels, squares)])
    by_channel: NDArray[np.uint64] = sums.reshape(2, channels, height * width).sum(
        axis=2, dtype=np.uint64
    )
    return by_channel


class NormaliseImages(nn.Module):
    """Scale uint8 images to float32 of zero mean and unit variance per channel.

    Args:
        mean: Means ``(channels,)`` in units of 0 to 1.
        std: Standard deviations ``(channels,)`` in units of 0 to 1; a constant channel is only
            centred.
    """

    def __init__(self, *, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        spread = torch.where(std > 0, std, torch.ones_like(std))
        self.scale = nn.Buffer((1 / (255 * spread)).view(1, -1, 1, 1))
        self.offset = nn.Buffer((-mean / spread).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Scale images ``(batch, channels, height, width)``."""
        # The multiplication converts to float, without a copy for the conversion.
        return images.mul(self.scale).add_(self.offset)

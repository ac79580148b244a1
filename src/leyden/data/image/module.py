"""The image kind: normalisation per channel, and files to predict on."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.base import DataModule
from leyden.data.image.cleaning import ImageCleaning
from leyden.data.inputs import Inputs, read_files

Background = Literal["black", "white"]

BYTES_AT_ONCE = 1 << 16
"""As much as a processor's cache holds, and so few rows that sums of 32 bits hold theirs."""


class ImageData(DataModule):
    """Images of one size; a subclass says where they come from and declares ``image_shape``.

    Args:
        background: Colour that transparent pixels are laid on when files are read.
        white: Value of 16-bit pixels that becomes the brightest of 8 bits when files are read;
            ``None`` for the one that was found in the training run.
        options: Options of every data module.
    """

    cleaning: ImageCleaning
    cleaning_type = ImageCleaning

    image_shape: tuple[int, int, int]
    """(channels, height, width) of every cached image."""

    def __init__(
        self, *, background: Background = "black", white: int | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        if background not in get_args(Background):
            raise ValueError(f"background: expected black or white, got {background}")
        if white is not None and not 0 < white < 2**16:
            raise ValueError(f"white: expected 1 to 65535, got {white}")
        self.background = background
        self.white = white

    def fit(self, arrays: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Fit the mean and standard deviation of each channel, in units of 0 to 1."""
        at_once = max(1, BYTES_AT_ONCE // math.prod(self.image_shape))
        total = squares = np.zeros(self.image_shape[0])
        for start in range(0, len(rows), at_once):
            sums = channel_sums(arrays["images"][rows[start : start + at_once]])
            total, squares = total + sums[0], squares + sums[1]
        count = len(rows) * math.prod(self.image_shape[1:])
        mean = total / count / 255
        std = np.sqrt(np.maximum(count * squares - total**2, 0.0)) / count / 255
        return {
            "mean": torch.tensor(mean).float(),
            "std": torch.tensor(std).float(),
            "white": self.white_level(),
        }

    def normalisation(self) -> dict[str, nn.Module]:
        """Build the fitted scaling of channels."""
        if any(len(self.statistics[name]) != self.image_shape[0] for name in ("mean", "std")):
            raise ValueError(f"mean and std are not of {self.image_shape[0]} channels")
        scaling = NormaliseImages(mean=self.statistics["mean"], std=self.statistics["std"])
        return {"images": scaling}

    def white_level(self) -> int | None:
        """Return the ``white`` that is given, or that of the training run."""
        if self.white is not None or not self.statistics:
            return self.white or self.find_white()
        white: int | None = self.statistics.get("white")
        return white

    def find_white(self) -> int | None:
        """Return the ``white`` of a data set of files; ``None`` for other data sets."""
        return None

    def network_sizes(self) -> dict[str, Any]:
        """Size networks by the images' shape and the number of classes."""
        return {"input_shape": self.image_shape, "num_outputs": len(self.class_names or ())}

    def read_inputs(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read image files, and those below folders, as ``(rows, channels, height, width)``."""
        from leyden.data.image.files import IMAGE_FILES, read_image  # Pillow is slow to import

        def joined(images: list[NDArray[np.uint8]]) -> dict[str, NDArray[np.uint8]]:
            return {"images": np.stack(images)}

        read = partial(
            read_image,
            shape=self.image_shape,
            background=self.background,
            white=self.white_level(),
        )
        return read_files(IMAGE_FILES.inputs(paths), read, joined)


def channel_sums(images: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Sum up pixels, and their squares, in whole numbers.

    They are exact, so that a channel that never changes has no spread.

    Args:
        images: ``(rows, channels, height, width)``, 66,051 rows at most.

    Returns:
        ``(2, channels)``.
    """
    rows, channels, height, width = images.shape
    pixels = images.reshape(rows, channels * height * width)
    squares = np.multiply(pixels, pixels, dtype=np.uint16)  # of which 255**2 is one
    sums = np.stack([each.sum(axis=0, dtype=np.uint32) for each in (pixels, squares)])
    by_channel: NDArray[np.uint64] = sums.reshape(2, channels, height * width).sum(
        axis=2, dtype=np.uint64
    )
    return by_channel


class NormaliseImages(nn.Module):
    """uint8 images to float32 with zero mean and unit variance per channel.

    Args:
        mean: ``(channels,)`` in units of 0 to 1.
        std: ``(channels,)`` in units of 0 to 1; a channel that never changes is only centred.
    """

    def __init__(self, *, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.scale: Tensor
        self.offset: Tensor
        spread = torch.where(std > 0, std, torch.ones_like(std))
        self.register_buffer("scale", (1 / (255 * spread)).view(1, -1, 1, 1))
        self.register_buffer("offset", (-mean / spread).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Scale ``(batch, channels, height, width)``."""
        # Bytes become floats as they are multiplied, without a copy of their own.
        return images.mul(self.scale).add_(self.offset)

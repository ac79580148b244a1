"""The image kind: normalisation per channel, and files to predict on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.base import DataModule
from leyden.data.image.files import IMAGE_FILES, read_image
from leyden.data.rows import UnreadableError
from leyden.errors import UserError

ROWS_PER_CHUNK = 256


class ImageData(DataModule):
    """Images of one size; a subclass says where they come from and declares ``image_shape``."""

    raw_field = network_field = "images"

    image_shape: tuple[int, int, int]
    """(channels, height, width) of every cached image."""

    def fit(self, arrays: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Fit the mean and standard deviation of each channel, in units of 0 to 1."""
        channels = self.image_shape[0]
        total, squares, count = np.zeros(channels), np.zeros(channels), 0
        for start in range(0, len(rows), ROWS_PER_CHUNK):
            # Sums of whole numbers are exact, so that a channel that never changes has no spread.
            images = arrays["images"][rows[start : start + ROWS_PER_CHUNK]].astype(np.float64)
            total += images.sum(axis=(0, 2, 3))
            squares += np.square(images).sum(axis=(0, 2, 3))
            count += images.size // channels
        mean = total / count / 255
        std = np.sqrt(np.maximum(count * squares - total**2, 0.0)) / count / 255
        return {"mean": torch.tensor(mean).float(), "std": torch.tensor(std).float()}

    def normalisation(self) -> nn.Module:
        """Build the fitted scaling of channels."""
        return NormaliseImages(**self.statistics)

    def network_sizes(self) -> dict[str, Any]:
        """Size networks by the images' shape and the number of classes."""
        return {"input_shape": self.image_shape, "num_outputs": len(self.class_names or ())}

    def read_inputs(self, paths: Sequence[str]) -> tuple[list[str], dict[str, Tensor]]:
        """Read image files, and those below folders, as ``(rows, channels, height, width)``."""
        files = IMAGE_FILES.inputs(paths)
        images = []
        for file in files:
            try:
                images.append(read_image(file, self.image_shape))
            except UnreadableError as error:
                raise UserError(
                    f"{file} can't be read as an image: {error}. Expected "
                    f"{IMAGE_FILES.expected}; mend the file or leave it out of input=."
                ) from error
        return [str(file) for file in files], {"images": torch.from_numpy(np.stack(images))}


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

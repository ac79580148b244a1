"""Augmentations of whole image batches, on the batch's device.

Each takes raw images ``(batch, channels, height, width)`` of any dtype and draws its random
numbers per image from the given generator. ``field`` is the images' name among the inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Flip images horizontally.

    Attributes:
        probability: Probability that an image is flipped.
    """

    probability: float = 0.5
    field: str = "images"

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Flip each image with the probability."""
        chosen = _uniform(images, generator) < self.probability
        return torch.where(chosen.view(-1, 1, 1, 1), images.flip(3), images)


@dataclass(frozen=True, kw_only=True)
class Shift:
    """Shift images by a random offset in both directions, filling with black.

    The same as zero padding followed by a random crop of the original size.

    Attributes:
        pixels: Largest offset.
    """

    pixels: int = 1
    field: str = "images"

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Shift each image by its own offset."""
        batch, _, height, width = images.shape
        padded = nn.functional.pad(images, [self.pixels] * 4)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view, without a copy
        row, column = torch.randint(
            2 * self.pixels + 1, (batch, 2), generator=generator, device=images.device
        ).unbind(dim=1)
        return windows[torch.arange(batch, device=images.device), :, row, column]


@dataclass(frozen=True, kw_only=True)
class ResizedCrop:
    """Crop a random rectangle and resize it to the full size.

    Attributes:
        min_area: Smallest area of the rectangle, as a share of the image's.
        max_stretch: Largest change of the aspect ratio.
    """

    min_area: float = 0.5
    max_stretch: float = 1.33
    field: str = "images"

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Crop each image by its own rectangle."""
        area = self.min_area + (1 - self.min_area) * _uniform(images, generator)
        stretch = self.max_stretch ** (_uniform(images, generator) - 0.5)
        stretch = stretch.clamp(area.sqrt(), area.rsqrt())  # no side longer than the image's
        height = area.sqrt() * stretch
        width = area.sqrt() / stretch
        theta = torch.zeros(len(images), 2, 3, device=images.device)
        theta[:, 0, 0] = width
        theta[:, 1, 1] = height
        theta[:, 0, 2] = (1 - width) * (2 * _uniform(images, generator) - 1)
        theta[:, 1, 2] = (1 - height) * (2 * _uniform(images, generator) - 1)
        grid = nn.functional.affine_grid(theta, list(images.shape), align_corners=False)
        pieces = nn.functional.grid_sample(
            images.float(), grid, padding_mode="border", align_corners=False
        )
        return (pieces if images.is_floating_point() else pieces.round()).to(images.dtype)


@dataclass(frozen=True, kw_only=True)
class Erase:
    """Set one rectangle to black (Zhong et al. 2017, arXiv:1708.04896).

    Attributes:
        probability: Probability that an image loses a rectangle.
        max_side: Longest side of the rectangle, as a share of the image's.
    """

    probability: float = 0.25
    max_side: float = 0.4
    field: str = "images"

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Erase a rectangle of each image with the probability."""
        _, _, height, width = images.shape
        chosen = _uniform(images, generator) < self.probability
        rows = self._span(images, generator, height)
        columns = self._span(images, generator, width)
        hole = chosen.view(-1, 1, 1) & rows.unsqueeze(2) & columns.unsqueeze(1)
        return images.masked_fill(hole.unsqueeze(1), 0)

    def _span(self, images: Tensor, generator: torch.Generator, size: int) -> Tensor:
        """Draw an interval per image, as a mask ``(batch, size)``."""
        length = (_uniform(images, generator) * int(self.max_side * size)).ceil()
        start = (_uniform(images, generator) * (size - length + 1)).floor()
        position = torch.arange(size, device=images.device)
        return (position >= start.unsqueeze(1)) & (position < (start + length).unsqueeze(1))


def _uniform(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(len(images), generator=generator, device=images.device)

"""The data module of images."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate

from leyden.data.base import DataModule
from leyden.data.features import Features
from leyden.data.image.cleaning import ImageCleaning
from leyden.data.image.normalise import NormaliseImages, channel_statistics
from leyden.data.image.reader import ImageReader

BASELINE_SIDE = 32
"""Most pixels on a side of the images that baselines learn from."""

Background = Literal["black", "white"]


class ImageData(DataModule):
    """Images of one size; a subclass reads them and sets ``image_shape``.

    Args:
        background: Colour behind transparent pixels, applied when files are read.
        white: Value of 16-bit pixels that becomes 255 when files are read; ``None`` for the one
            that was found in the training run.
        options: Options of ``DataModule``.
    """

    cleaning: ImageCleaning
    cleaning_type = ImageCleaning
    look = "leyden.data.look.look_at_images"

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
        return channel_statistics(arrays["images"], rows) | {"white": self.white_level()}

    def normalisation(self) -> dict[str, nn.Module]:
        """Build the fitted scaling of channels."""
        if any(len(self.statistics[name]) != self.image_shape[0] for name in ("mean", "std")):
            raise ValueError(
                f"mean and std: expected one value for each of {self.image_shape[0]} channels"
            )
        scaling = NormaliseImages(mean=self.statistics["mean"], std=self.statistics["std"])
        return {"images": scaling}

    def white_level(self) -> int | None:
        """Return the given ``white``, or that of the training run."""
        if self.white is not None or not self.statistics:
            return self.white or self.find_white()
        white: int | None = self.statistics.get("white")
        return white

    def find_white(self) -> int | None:
        """Return the ``white`` of a data set of files; ``None`` for other data sets."""
        return None

    def network_sizes(self) -> dict[str, Any]:
        """Return the shape of the images and the number of classes."""
        return {"input_shape": self.image_shape, "num_outputs": len(self.class_names or ())}

    def summarise(self, inputs: Mapping[str, Tensor]) -> Features:
        """Return the pixels of images, reduced to 32 x 32 if they are larger."""
        images = inputs["images"].float()
        if max(images.shape[2:]) > BASELINE_SIDE:
            images = interpolate(images, size=(BASELINE_SIDE, BASELINE_SIDE), mode="area")
        return Features(numbers=images.flatten(1))

    def reader(self) -> ImageReader:
        """Return the reader of image files of this shape."""
        return ImageReader(
            shape=self.image_shape, background=self.background, white=self.white_level()
        )

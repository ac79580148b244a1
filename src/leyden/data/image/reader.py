"""Reading of image files to predict on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from leyden.data.inputs import Inputs, Reader, read_files
from leyden.schema import Field


@dataclass(frozen=True, kw_only=True)
class ImageReader(Reader):
    """Reads image files as pixels of one shape.

    Attributes:
        shape: (channels, height, width) of every image.
        background: Colour behind transparent pixels.
        white: Value of 16-bit pixels that becomes 255, as for ``read_image``.
    """

    kind: ClassVar = "image"

    shape: tuple[int, int, int]
    background: str = "black"
    white: int | None = None

    @property
    def values(self) -> tuple[Field, ...]:
        """The pixels of the images."""
        channels = "grey" if self.shape[0] == 1 else "red, green and blue"
        return (
            Field(
                name="images",
                dtype="uint8",
                shape=("batch", *self.shape),
                meaning=f"pixels from 0 to 255, ({channels}; height; width)",
            ),
        )

    def read(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read image files, and those below folders."""
        from leyden.data.image.files import IMAGE_FILES, read_image  # Pillow is slow to import

        read = partial(read_image, shape=self.shape, background=self.background, white=self.white)
        return read_files(
            IMAGE_FILES.inputs(paths), read, lambda images: {"images": np.stack(images)}
        )

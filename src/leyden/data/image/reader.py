"""Reading of image files to predict on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from leyden.data.inputs import Inputs, Reader, read_files
from leyden.data.parts import Part
from leyden.schema import Field


@dataclass(frozen=True, kw_only=True)
class ImageReader(Reader):
    """Reads image files as pixels of one shape.

    Attributes:
        shape: (channels, height, width) of every image.
        background: Colour behind transparent pixels.
        white: Value of 16-bit pixels that becomes 255, as for ``read_image``.
        target: Name of the column that the network predicts, if it is one.
    """

    kind: ClassVar = "image"

    shape: tuple[int, int, int]
    background: str = "black"
    white: int | None = None
    target: str | None = None

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

    def files(self, paths: Sequence[str]) -> list[Path]:
        """List image files, and those below folders."""
        from leyden.data.image.files import IMAGE_FILES  # Pillow is slow to import

        return IMAGE_FILES.inputs(paths)

    def read_part(self, part: Part) -> Inputs:
        """Decode image files."""
        from leyden.data.image.files import read_image

        read = partial(read_image, shape=self.shape, background=self.background, white=self.white)
        return read_files(part, read, lambda images: {"images": np.stack(images)})

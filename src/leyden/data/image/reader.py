"""Reading of image files to predict on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from leyden.arrays import Arrays
from leyden.data.readers import FileReader
from leyden.schema import Field

# Pillow is slow to import, so that the functions that use it are imported where they are called.


@dataclass(frozen=True, kw_only=True)
class ImageReader(FileReader):
    """Reads image files as pixels of one shape.

    Attributes:
        shape: (channels, height, width) of every image.
        background: Colour behind transparent pixels.
        white: Value of 16-bit pixels that becomes 255, as for ``read_image``.
        target: Name of the column that the network predicts, if it is one.
    """

    kind: ClassVar = "image"
    key: ClassVar = "image"
    media: ClassVar = "image"

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
        from leyden.data.image.files import IMAGE_FILES

        return IMAGE_FILES.inputs(paths)

    @property
    def description(self) -> str:
        """The formats and the size."""
        _, height, width = self.shape
        return (
            "content of an image file (PNG, JPEG, WebP, BMP, GIF or TIFF; the first frame) of any "
            f"size, which is scaled and cropped to {width} x {height} pixels"
        )

    def decode(self, source: Path | bytes) -> NDArray[np.uint8]:
        """Decode an image to pixels ``(channels, height, width)``."""
        from leyden.data.image.files import read_image

        return read_image(
            source,
            self.shape,
            background=self.background,
            white=self.white,
            max_pixels=self.limits.pixels,
        )

    def join(self, items: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Stack images of equal shape."""
        return {"images": np.stack(items)}

    def encode(self, values: Arrays, row: int) -> bytes:
        """Encode pixels as PNG."""
        from leyden.data.image.files import encode_png

        return encode_png(values["images"][row])

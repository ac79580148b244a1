"""Image files that are listed with their classes, by folders or by a table."""

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache import store
from leyden.data.image.files import FULL_WHITE, MODES, find_white, read_image
from leyden.data.image.module import ImageData
from leyden.data.rows import Rows
from leyden.data.sources.folders import LabelledFile, LabelledFolder
from leyden.data.sources.path_table import PathTable
from leyden.data.sources.read_items import read_items, require_every_class

log = logging.getLogger(__name__)

FILES_PER_CHUNK = 256

WHITE_FILE = "white.txt"


class ListedImages(ImageData):
    """PNG, JPEG, WebP and other images of any size, resized to one; a subclass sets ``listing``.

    Args:
        image_size: (height, width) that all images are resized to.
        channels: 1 for grey, 3 for RGB.
        options: Options of ``ImageData``.
    """

    look = "leyden.data.look.look_at_image_files"

    listing: LabelledFolder | PathTable
    """Files with their classes, split by split."""

    def __init__(
        self,
        *,
        image_size: tuple[int, int] = (64, 64),
        channels: Literal[1, 3] = 3,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if channels not in MODES:
            raise ValueError(f"channels: expected 1 (grey) or 3 (RGB), got {channels}")
        self.image_shape = (channels, *image_size)

    def source_settings(self) -> dict[str, Any]:
        """Return the state of the files, and the settings by which they are read."""
        how = {"shape": self.image_shape, "background": self.background}
        return self.listing.settings() | how | {"white": self.white_level()}

    def find_white(self) -> int:
        """Return the largest value of as many bits as the 16-bit files use."""
        return self._found_white

    def read(self) -> Iterator[Rows]:
        """Decode the files, split by split.

        Raises:
            UserError: If no file of some class can be read.
        """
        files = list(self.listing)
        return require_every_class(files, self._decode(files), name=str(self.name))

    def _decode(self, files: Sequence[LabelledFile]) -> Iterator[Rows]:
        white = self.white_level()

        def read(file: LabelledFile) -> tuple[NDArray[np.uint8], None]:
            image = read_image(file.path, self.image_shape, background=self.background, white=white)
            return image, None

        plain = 0
        for chunk in read_items(files, read, per_chunk=FILES_PER_CHUNK):
            images = np.array(chunk.values, np.uint8).reshape(-1, *self.image_shape)
            plain += _count_plain(images)
            yield chunk.rows({"images": images})
        yield self.listing.report_skipped()
        if 2 * plain > len(files):
            log.warning(
                "%d of %d images are of one colour. If they have transparent pixels, which are "
                "laid on %s, try another data.background",
                *(plain, len(files), self.background),
            )

    @cached_property
    def _found_white(self) -> int:
        # Every file has to be opened, so the result is stored beside the cached rows.
        name = f"white-{store.fingerprint(self.listing.settings())}"
        folder = self.cache_dir / str(self.name) / name
        store.write_once(folder, self._look_for_white)
        white = int((folder / WHITE_FILE).read_text())
        if white != FULL_WHITE:
            log.info(
                "16-bit images: %d is white, judging by the bits in use; see data.white", white
            )
        return white

    def _look_for_white(self, folder: Path) -> None:
        white = find_white(file.path for file in self.listing)
        (folder / WHITE_FILE).write_text(str(white))


def _count_plain(images: NDArray[np.uint8]) -> int:
    """Count the images ``(rows, channels, height, width)`` that are of one colour."""
    return int((images == images[:, :, :1, :1]).all(axis=(1, 2, 3)).sum())

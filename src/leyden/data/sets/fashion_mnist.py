"""Fashion-MNIST, with its official test split."""

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.image.module import ImageData
from leyden.data.rows import Rows, Split
from leyden.data.sources.published import PublishedFiles
from leyden.errors import UserError
from leyden.files import DataPath

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Folder where Debian's package ``dataset-fashion-mnist`` installs the files."""

MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
)

CHECKSUMS = {
    "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}

FILES: tuple[tuple[Split, str], ...] = (("train", "train"), ("test", "t10k"))

IDX_UBYTE_MAGIC = 0x0800
"""The third byte, 8, means unsigned bytes; the fourth is the number of dimensions."""


class FashionMNIST(ImageData):
    """60,000 training and 10,000 test images (grey, 28x28 pixels) in 10 balanced classes.

    The files are read from ``root`` or Debian's package, or downloaded once.
    Source: Xiao et al. 2017, arXiv:1708.07747.

    Args:
        root: Folder that holds the four ``.gz`` files of the data set.
        mirrors: URLs of folders that hold the files, tried in order.
        options: Options of ``ImageData``.
    """

    class_names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    image_shape = (1, 28, 28)

    def __init__(
        self, *, root: DataPath | None = None, mirrors: tuple[str, ...] = MIRRORS, **options: Any
    ) -> None:
        super().__init__(**options)
        self.files = PublishedFiles(
            checksums=CHECKSUMS,
            mirrors=mirrors,
            downloads=self.cache_dir / "downloads" / "fashion_mnist",
            root=root,
            installed=SYSTEM_FOLDER,
        )

    def source_settings(self) -> dict[str, Any]:
        """Return the checksums of the published files, or the state of the user's own files."""
        return self.files.settings()

    def read(self) -> Iterator[Rows]:
        """Yield the training split, then the test split.

        Raises:
            UserError: If a file cannot be downloaded or read, or images and labels do not match.
        """
        folder = self.files.folder()
        for split, prefix in FILES:
            images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
            targets = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
            expected = (len(targets), *self.image_shape[1:])
            if images.shape != expected or targets.ndim != 1:
                raise UserError(
                    f"{folder} holds {split} images of shape {images.shape} and labels of shape "
                    f"{targets.shape}; expected as many labels as images of 28x28. Replace the "
                    "four files by the published ones."
                )
            yield Rows(
                arrays={"images": images[:, np.newaxis]},
                targets=targets.astype(np.int64),
                split=split,
                sources=[f"{split}[{row}]" for row in range(len(images))],
            )


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of unsigned bytes.

    A header of big-endian int32 (a magic number of the dtype and the number of dimensions, then the
    size of each dimension) is followed by the values. Source: http://yann.lecun.com/exdb/mnist.

    Returns:
        Array (uint8) of 1 to 4 dimensions.

    Raises:
        UserError: If the file is damaged, truncated or of another format.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read: {error}. Replace it by an intact copy.") from error
    magic = int.from_bytes(content[:4], "big")
    dimensions = magic - IDX_UBYTE_MAGIC
    if dimensions not in range(1, 5):
        raise UserError(
            f"{path} is not an IDX file of unsigned bytes (it begins with {content[:4]!r})."
        )
    begin = 4 + 4 * dimensions
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, begin, 4)]
    if len(content) != begin + math.prod(shape):
        raise UserError(
            f"{path} holds {len(content) - begin} values, but its header states "
            f"{math.prod(shape)}. Replace it by an intact copy."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=begin).reshape(shape)

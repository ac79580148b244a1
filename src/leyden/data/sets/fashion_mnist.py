"""Fashion-MNIST with its official test split."""

import gzip
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache import store
from leyden.data.image.module import ImageData
from leyden.data.rows import Rows, Split
from leyden.data.sources.download import RemoteFile, fetch
from leyden.errors import UserError
from leyden.files import file_state

SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package ``dataset-fashion-mnist`` puts the files."""

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
"""Third byte 8: unsigned bytes; the fourth counts the dimensions."""


class FashionMNIST(ImageData):
    """60,000 training and 10,000 test images, grey, 28x28, in 10 balanced classes.

    The files are looked for in ``root``, in the folder of Debian's package, and else fetched once.
    Source: Xiao et al. 2017, arXiv:1708.07747.

    Args:
        root: folder that holds the four ``.gz`` files of the data set.
        mirrors: addresses of folders that hold them, tried in order.
        options: those of every data module.
    """

    class_names = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    image_shape = (1, 28, 28)

    def __init__(
        self, *, root: str | None = None, mirrors: tuple[str, ...] = MIRRORS, **options: Any
    ) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser() if root else None
        self.mirrors = mirrors

    def source_settings(self) -> dict[str, Any]:
        """Name the canonical files, or those of ``root``, which may be any."""
        if self.root is None:
            return {"files": CHECKSUMS}
        folder = self._folder()
        files = [file_state(folder / name) for name in CHECKSUMS]
        return {"root": str(folder.resolve()), "files": files}

    def read(self) -> Iterator[Rows]:
        """Yield the training split, then the test split."""
        folder = self._folder()
        for split, prefix in FILES:
            images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
            targets = read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")
            expected = (len(targets), *self.image_shape[1:])
            if images.shape != expected or targets.ndim != 1:
                raise UserError(
                    f"{folder} holds {split} images of shape {images.shape} and labels of shape "
                    f"{targets.shape}; expected as many labels as images of 28x28. Replace the "
                    "four files by the canonical ones."
                )
            yield Rows(
                arrays={"images": images[:, np.newaxis]},
                targets=targets.astype(np.int64),
                split=split,
                sources=[f"{split}[{row}]" for row in range(len(images))],
            )

    def _folder(self) -> Path:
        if self.root is not None:
            if missing := [name for name in CHECKSUMS if not (self.root / name).is_file()]:
                raise UserError(
                    f"data.root={self.root} lacks {', '.join(missing)}. Give a folder that holds "
                    "the four files of Fashion-MNIST, or leave data.root out to fetch them."
                )
            return self.root
        if all((SYSTEM_FOLDER / name).is_file() for name in CHECKSUMS):
            return SYSTEM_FOLDER
        folder = self.cache_dir / "downloads" / "fashion_mnist"
        with store.locked(folder):
            for name, checksum in CHECKSUMS.items():
                urls = tuple(f"{mirror.rstrip('/')}/{name}" for mirror in self.mirrors)
                fetch(RemoteFile(name=name, urls=urls, checksum=checksum), folder)
        return folder


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of unsigned bytes.

    Format: http://yann.lecun.com/exdb/mnist. A header of big-endian int32 (a magic number that
    holds the dtype and the number of dimensions, then each dimension), then the values.

    Raises:
        UserError: the file is no such file or is cut short.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} can't be read: {error}. Replace it by a whole copy.") from error
    magic = int.from_bytes(content[:4], "big")
    dimensions = magic - IDX_UBYTE_MAGIC
    if dimensions not in range(1, 5):
        raise UserError(f"{path} is no IDX file of unsigned bytes (it begins {content[:4]!r}).")
    begin = 4 + 4 * dimensions
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, begin, 4)]
    if len(content) != begin + math.prod(shape):
        raise UserError(
            f"{path} holds {len(content) - begin} values where its header says {math.prod(shape)}. "
            "Replace it by a whole copy."
        )
    return np.frombuffer(content, dtype=np.uint8, offset=begin).reshape(shape)

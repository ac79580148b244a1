"""Handwritten digits that come with Leyden: the default, without any download."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from leyden.data.image.module import ImageData
from leyden.data.rows import Rows

FILE = Path(__file__).with_name("digits.csv.gz")
"""A row per image: the ink of 64 pixels, in rows from the top left, and the digit."""

MOST_INK = 16


class Digits(ImageData):
    """1,797 grey images of 8x8 pixels in 10 classes.

    Source: the test split of Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits",
    UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, under CC BY 4.0.
    """

    class_names = tuple(str(digit) for digit in range(10))
    image_shape = (1, 8, 8)

    def source_settings(self) -> dict[str, Any]:
        """Nothing to choose: there is one file."""
        return {}

    def read(self) -> Iterator[Rows]:
        """Yield all digits as one chunk."""
        table = np.loadtxt(FILE, delimiter=",", dtype=np.int64)
        images = np.round(table[:, :-1] * (255 / MOST_INK)).astype(np.uint8)
        yield Rows(
            arrays={"images": images.reshape(-1, *self.image_shape)},
            targets=table[:, -1],
            split="all",
            sources=[f"digits[{row}]" for row in range(len(images))],
        )

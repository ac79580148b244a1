"""Handwritten digits, which are part of the package: the default data set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from leyden.data.image.module import ImageData
from leyden.data.rows import Rows

FILE = Path(__file__).with_name("digits.csv.gz")
"""One line per image: 64 pixels in [0, MOST_INK], row by row from the top left, and the digit."""

MOST_INK = 16
"""Value of a pixel that is fully covered by ink."""


class Digits(ImageData):
    """1,797 grey images of 8x8 pixels in 10 classes.

    Source: the test split of Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits",
    UCI Machine Learning Repository, https://doi.org/10.24432/C50P49, under CC BY 4.0.
    """

    class_names = tuple(str(digit) for digit in range(10))
    image_shape = (1, 8, 8)

    def source_settings(self) -> dict[str, Any]:
        """Return an empty dictionary, because the only file is part of the package."""
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

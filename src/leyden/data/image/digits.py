"""scikit-learn's handwritten digits: the embedded default, without any download."""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

from leyden.data.image.module import ImageData
from leyden.data.rows import Rows

BRIGHTEST = 16
"""The data set counts ink in 17 levels."""


class Digits(ImageData):
    """1,797 grey images of 8x8 pixels in 10 classes.

    Source: https://archive.ics.uci.edu/dataset/80 (its test part), as scikit-learn ships it.
    """

    class_names = tuple(str(digit) for digit in range(10))
    image_shape = (1, 8, 8)

    def source_settings(self) -> dict[str, Any]:
        """Name the package that ships the rows."""
        return {"scikit-learn": version("scikit-learn")}

    def read(self) -> Iterator[Rows]:
        """Yield all digits as one chunk."""
        from sklearn.datasets import load_digits  # slow to import, and cached after the first run

        digits = load_digits()
        images = np.round(digits.images * (255 / BRIGHTEST)).astype(np.uint8)
        yield Rows(
            arrays={"images": images[:, np.newaxis]},
            targets=digits.target.astype(np.int64),
            part="all",
            sources=[f"digits[{row}]" for row in range(len(images))],
        )

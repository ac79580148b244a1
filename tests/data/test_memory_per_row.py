"""Memory per row of data sets; memory-mapped files do not count."""

import tracemalloc
from itertools import islice

import numpy as np
import pytest

from leyden.data.image.module import ImageData
from leyden.data.rows import Rows
from leyden.data.text.module import TextData
from leyden.data.text.rows import Text, text_rows

FEW, MANY = 2_000, 10_000

CHUNK = 1_000


class Noise(ImageData):
    class_names = ("a", "b")
    image_shape = (1, 4, 4)

    def __init__(self, *, count, **options):
        super().__init__(name="noise", **options)
        self.count = count

    def source_settings(self):
        return {"count": self.count}

    def read(self):
        random = np.random.default_rng(0)
        for start in range(0, self.count, CHUNK):
            yield Rows(
                arrays={"images": random.integers(0, 256, (CHUNK, 1, 4, 4), dtype=np.uint8)},
                targets=random.integers(0, 2, CHUNK),
                split="all",
                sources=[f"folder/{row}.png" for row in range(start, start + CHUNK)],
            )


class Babble(TextData):
    def __init__(self, *, count, **options):
        super().__init__(name="babble", **options)
        self.count = count

    def source_settings(self):
        return {"count": self.count}

    def read(self):
        words = np.random.default_rng(0).integers(0, 10_000, (self.count, 8), dtype=np.uint16)
        texts = (
            Text(content=" ".join(map(str, row)), source=str(number), target=str(number % 3))
            for number, row in enumerate(words)
        )
        return text_rows(texts, self.cleaning)


def prepare(data):
    data.prepare_data()


def first_batches(data):
    data.setup()
    return list(islice(data.train_dataloader(), 10))


def peak_of(step, data):
    tracemalloc.start()
    try:
        step(data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("kind", "step", "most_bytes"),
    [(Noise, prepare, 20), (Noise, first_batches, 40), (Babble, prepare, 80)],
)
def test_memory_hardly_grows_with_rows(tmp_path, kind, step, most_bytes):
    once, few, many = (kind(count=n, cache_dir=str(tmp_path)) for n in (CHUNK, FEW, MANY))
    if step is not prepare:
        for data in (once, few, many):
            prepare(data)
    step(once)  # imports, and what else is made once

    growth = peak_of(step, many) - peak_of(step, few)

    assert growth / (MANY - FEW) < most_bytes

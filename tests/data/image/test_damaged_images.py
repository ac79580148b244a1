"""Damaged image files are unreadable, whatever is wrong with them: LEYDEN_FUZZ_ROUNDS each."""

import io
import os
import random
import time

import numpy as np
import pytest
from PIL import Image

from leyden.data.image.files import read_image
from leyden.data.rows import UnreadableError

ROUNDS = int(os.environ.get("LEYDEN_FUZZ_ROUNDS", "150"))

SECONDS = 10
"""Longest time that a file of a kilobyte may take."""

PIXELS = np.add.outer(np.arange(24), np.arange(20)).astype(np.uint8) * 6
GREY = Image.fromarray(PIXELS)
RGB = Image.merge("RGB", [GREY, GREY.rotate(180), GREY])
RGBA = Image.merge("RGBA", [*RGB.split(), GREY])
DEEP = Image.fromarray(PIXELS.astype(np.uint16) * 257)
EXIF = Image.Exif()
EXIF[0x0112] = 6
EXIF[0x010E] = "a description"

SEEDS = {
    "png": (RGB, {"exif": EXIF}),
    "png-alpha": (RGBA, {}),
    "png-palette": (RGB.convert("P"), {"transparency": 3}),
    "png-bits": (GREY.convert("1"), {}),
    "png-deep": (DEEP, {}),
    "png-animated": (RGB, {"save_all": True, "append_images": [RGB.rotate(90)]}),
    "jpeg": (RGB, {"exif": EXIF}),
    "jpeg-progressive": (GREY, {"progressive": True}),
    "jpeg-cmyk": (RGB.convert("CMYK"), {}),
    "webp": (RGB, {"exif": EXIF}),
    "webp-lossless": (RGBA, {"lossless": True}),
    "bmp": (RGB, {}),
    "bmp-palette": (RGB.convert("P"), {}),
    "gif": (RGB.convert("P"), {"transparency": 3}),
    "gif-animated": (GREY, {"save_all": True, "append_images": [GREY.rotate(90)]}),
    "tiff": (RGB, {"exif": EXIF}),
    "tiff-deep": (DEEP, {}),
    "tiff-bits": (GREY.convert("1"), {"compression": "group4"}),
    "tiff-lzw": (RGBA, {"compression": "tiff_lzw"}),
    "tiff-deflate": (RGB.convert("P"), {"compression": "tiff_adobe_deflate"}),
    "tiff-jpeg": (RGB, {"compression": "jpeg"}),
    "tiff-packbits": (GREY, {"compression": "packbits"}),
}

NUMBERS = (0, 1, 2, 7, 2**15, 2**16 - 1, 2**31, 2**32 - 1)


def encoded(name):
    image, options = SEEDS[name]
    stream = io.BytesIO()
    image.save(stream, format=name.partition("-")[0].upper(), **options)
    return stream.getvalue()


def damaged(whole, chance):
    """Change some bytes or numbers, most of them in the header; cut, double or move a piece."""
    content = bytearray(whole)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(min(len(content), chance.choice([32, 256, len(content)])))
        piece = content[place : place + chance.randint(1, 16)]
        match chance.randrange(10):
            case 0 | 1 | 2 | 3:
                content[place] = chance.randrange(20)  # a type or a count
            case 4:
                content[place] ^= 1 << chance.randrange(8)
            case 5:
                content[place : place + len(piece)] = chance.randbytes(len(piece))
            case 6 | 7:
                order, size = chance.choice(["little", "big"]), chance.choice([2, 4])
                number = (chance.choice(NUMBERS) % 256**size).to_bytes(size, order)
                content[place : place + size] = number
            case 8:
                content[place:place] = piece
            case 9:
                del content[place + 1 : place + chance.choice([2, 9, len(content)])]
    return bytes(content)


@pytest.mark.parametrize("name", SEEDS)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_are_read_or_unreadable(tmp_path, name):
    whole, chance, path = encoded(name), random.Random(name), tmp_path / "a.png"
    path.write_bytes(whole)
    assert read_image(path, (3, 8, 8)).any()
    for _ in range(ROUNDS):
        path.write_bytes(damaged(whole, chance))
        start = time.perf_counter()
        try:
            got = read_image(path, (3, 8, 8))
        except UnreadableError:
            pass
        else:
            assert (got.shape, got.dtype) == ((3, 8, 8), np.uint8)
        assert time.perf_counter() - start < SECONDS

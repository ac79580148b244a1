import io
import re
import threading
import warnings
from base64 import b64encode

import numpy as np
import pytest
from PIL import Image

from leyden.data.image.reader import ImageReader
from leyden.data.readers import Limits

READER = ImageReader(shape=(3, 8, 8))


def content(size=(8, 8), form="PNG", **options):
    stream = io.BytesIO()
    Image.effect_noise(size, 50).convert("RGB").save(stream, form, **options)
    return stream.getvalue()


def row(file):
    return {"image": b64encode(file).decode()}


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (None, "image: expected a string, got null"),
        ([], "image: expected a string, got an array"),
        ("", "empty file"),
        ("data:image/png;base64,AAAA", "image: expected base64, got a data: URL"),
        ("AAAA\nAAAA", "without line breaks"),
        ("AA-_", "expected base64"),
        ("AAA", "expected base64"),
        ("AAAA=", "wrong padding"),
        ("AAAA====", "wrong padding"),
        ("AAAAé", "expected base64"),
        ("\ud800", "expected base64"),
        (b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n").decode(), "not an image"),
        (b64encode(content()[:60]).decode(), "truncated|cut short|broken|Truncated"),
    ],
)
def test_what_is_not_an_image_in_base64_is_rejected_alone(image, reason):
    inputs = READER.decode_rows([row(content()), {"image": image}, row(content())])

    assert inputs.names == ["row 0", "row 2"]
    assert inputs.fields["images"].shape == (2, 3, 8, 8)
    (item,) = inputs.rejected
    assert re.search(reason, item.reason), item.reason


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF"])
def test_images_beyond_the_limit_are_rejected_before_they_are_decoded(form, monkeypatch):
    limited = READER.limited(Limits(pixels=200))
    file = content((20, 11), form)
    assert not READER.decode_file("a", file).rejected
    assert limited.decode_file("a", content((20, 10), form)).names == ["a"]
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)

    for inputs in (limited.decode_file("a", file), limited.decode_rows([row(file)])):
        (item,) = inputs.rejected
        assert item.reason.startswith("20 x 11 pixels may be a decompression bomb")


@pytest.mark.parametrize("form", ["PPM", "TGA", "ICO", "PCX", "PDF"])
def test_other_formats_are_refused_whatever_their_name(form):
    assert READER.decode_file("a.png", content(form=form)).rejected[0].reason == "not an image"


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PNG"])
def test_one_frame_of_many_is_decoded(form, monkeypatch):
    frames = [Image.new("L", (8, 8), level) for level in range(100)]
    file = content(form=form, save_all=True, append_images=frames)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.seek", None)

    assert READER.decode_file("a", file).names == ["a"]


@pytest.mark.filterwarnings("default")
def test_threads_do_not_change_the_filters_of_warnings():
    before = list(warnings.filters)
    files = [content((64, 64), form) for form in ("PNG", "JPEG", "TIFF")] * 8
    threads = [threading.Thread(target=READER.decode_file, args=("a", file)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert warnings.filters == before


def test_pixels_survive_as_png():
    pixels = {"images": np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8), dtype=np.uint8)}

    rows = [READER.encode_row(pixels, 0), READER.encode_row(pixels, 1)]

    assert np.array_equal(READER.decode_rows(rows).fields["images"], pixels["images"])

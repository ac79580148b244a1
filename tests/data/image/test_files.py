import io
import os
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import Image

from leyden.data.image.files import IMAGE_FILES, find_white, read_image
from leyden.data.rows import UnreadableError

SIZE = (20, 30)
"""(height, width) of the test picture."""

ORIENTATION = 0x0112


def picture():
    """Return a smooth picture, different on all four sides, that survives compression."""
    rows, columns = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    red, green, blue = rows * 12, columns * 8, 120 + 0 * rows
    return Image.fromarray(np.stack([red, green, blue], axis=2).astype(np.uint8))


def grey_of(image):
    return np.asarray(image.convert("L"), dtype=np.uint8)


def saved(path, image=None, **options):
    (image or picture()).save(path, **options)
    return path


def sixteen_bits(grey):
    return Image.fromarray(grey.astype(np.uint16) * 257)


def differ(got, expected):
    return np.abs(got.astype(int) - expected.astype(int)).mean()


@pytest.mark.parametrize("suffix", IMAGE_FILES.suffixes)
def test_every_format_is_read_as_rgb_and_as_grey(tmp_path, suffix):
    path = saved(tmp_path / f"a{suffix}")

    colours = read_image(path, (3, *SIZE))
    grey = read_image(path, (1, *SIZE))

    assert (colours.shape, colours.dtype) == ((3, *SIZE), np.uint8)
    assert (grey.shape, grey.dtype) == ((1, *SIZE), np.uint8)
    assert differ(colours, np.asarray(picture()).transpose(2, 0, 1)) < 6
    assert differ(grey[0], grey_of(picture())) < 6


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_is_read(tmp_path, mode):
    suffix = "tif" if mode in {"CMYK", "YCbCr"} else "png"
    image = picture().convert(mode)
    path = saved(tmp_path / f"a.{suffix}", image)

    got = read_image(path, (3, *SIZE))

    assert differ(got, np.asarray(image.convert("RGB")).transpose(2, 0, 1)) < 3


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, name, channels):
    grey = grey_of(picture())
    path = saved(tmp_path / name, sixteen_bits(grey))

    got = read_image(path, (channels, *SIZE))

    assert np.array_equal(got, np.broadcast_to(grey, got.shape))


@pytest.mark.parametrize(
    ("white", "expected"),
    [
        (None, [0, 0, 3, 4, 15, 16, 255]),
        (65535, [0, 0, 3, 4, 15, 16, 255]),
        (4095, [0, 15, 63, 64, 255, 255, 255]),
        (4000, [0, 16, 65, 65, 255, 255, 255]),
        (255, [0, 255, 255, 255, 255, 255, 255]),
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_scaled_by_white_and_clipped_above(tmp_path, name, white, expected):
    values = np.array([[0, 255, 1023, 1024, 4095, 4096, 65535]], dtype=np.uint16)
    path = saved(tmp_path / name, Image.fromarray(values))

    assert read_image(path, (1, 1, 7), white=white)[0, 0].tolist() == expected


def test_eight_bits_do_not_depend_on_white(tmp_path):
    path = saved(tmp_path / "a.png")

    assert np.array_equal(read_image(path, (3, *SIZE), white=4095), read_image(path, (3, *SIZE)))


@pytest.mark.parametrize(
    ("brightest", "white"),
    [([1240, 3], 2047), ([4095], 4095), ([9, 4096], 8191), ([40000, 9], 65535), ([0], 65535)],
)
def test_white_is_the_largest_value_of_the_bits_that_all_files_use(tmp_path, brightest, white):
    for number, value in enumerate(brightest):
        pixels = np.array([[0, value]], dtype=np.uint16)
        saved(tmp_path / f"{number}.{'png' if number else 'tif'}", Image.fromarray(pixels))
    saved(tmp_path / "grey.png", Image.new("L", (3, 3), 255))
    saved(tmp_path / "photo.jpg")
    (tmp_path / "torn.png").write_bytes(b"no image")

    assert find_white(sorted(tmp_path.iterdir())) == white


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_pixels_without_an_agreed_range_are_refused(tmp_path, dtype):
    path = saved(tmp_path / "a.tif", Image.fromarray(grey_of(picture()).astype(dtype)))

    with pytest.raises(UnreadableError, match="save it with 8 or 16 bits"):
        read_image(path, (1, *SIZE))


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path):
    path = saved(tmp_path / "a.jpg", picture().convert("CMYK"), quality=95)

    assert differ(read_image(path, (3, *SIZE)), np.asarray(picture()).transpose(2, 0, 1)) < 6


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_the_first_frame_of_an_animation_is_read(tmp_path, suffix):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    path = saved(tmp_path / f"a.{suffix}", frames[0], save_all=True, append_images=frames[1:])

    assert read_image(path, (3, 8, 8)).mean(axis=(1, 2)) == pytest.approx([255, 0, 0], abs=3)


def test_transparent_pixels_are_black(tmp_path):
    image = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    image.paste((200, 100, 50, 255), (0, 0, 8, 4))

    got = read_image(saved(tmp_path / "a.png", image), (3, 8, 8))

    assert got[:, 0, 0].tolist() == [200, 100, 50]
    assert got[:, 7, 0].tolist() == [0, 0, 0]


def test_a_palette_with_a_transparent_colour_is_laid_on_black(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 255, 255, 200, 100, 50])
    image.paste(1, (0, 0, 8, 4))

    got = read_image(saved(tmp_path / "a.png", image, transparency=0), (3, 8, 8))

    assert got[:, [0, 7], 0].T.tolist() == [[200, 100, 50], [0, 0, 0]]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize(("background", "level"), [("black", 0), ("white", 255)])
def test_ink_on_transparency_is_laid_on_the_background(tmp_path, mode, background, level):
    ink = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    ink.paste((0, 0, 0, 255), (0, 0, 8, 4))
    path = saved(tmp_path / "a.png", ink.convert(mode))

    for channels in (1, 3):
        got = read_image(path, (channels, 8, 8), background=background)
        assert got[:, [0, 7], 0].T.tolist() == [[0] * channels, [level] * channels]


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, lambda pixels: pixels),
        (3, lambda pixels: pixels[::-1, ::-1]),
        (6, lambda pixels: np.rot90(pixels, -1)),
        (8, lambda pixels: np.rot90(pixels)),
    ],
)
@pytest.mark.parametrize("sixteen", [False, True])
def test_the_orientation_tag_is_applied(tmp_path, orientation, upright, sixteen):
    grey = grey_of(picture())
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = sixteen_bits(grey) if sixteen else Image.fromarray(grey)
    expected = upright(grey)

    got = read_image(saved(tmp_path / "a.png", image, exif=exif), (1, *expected.shape))

    assert np.array_equal(got[0], expected)


@pytest.mark.parametrize("size", [(1, 1), (3000, 50), (50, 3000), (1, 400), (7, 5)])
@pytest.mark.parametrize("shape", [(3, 16, 16), (1, 8, 24), (3, 1, 1)])
def test_any_size_fits_any_shape(tmp_path, size, shape):
    path = saved(tmp_path / "a.png", Image.new("RGB", size, (10, 20, 30)))

    got = read_image(path, shape)

    assert got.shape == shape
    assert got.flags.c_contiguous
    expected = [10, 20, 30] if shape[0] == 3 else [18]
    assert np.array_equal(got, np.broadcast_to(np.array(expected).reshape(-1, 1, 1), shape))


def test_the_middle_of_a_wide_image_is_kept_undistorted(tmp_path):
    image = Image.new("L", (3000, 50), 0)
    image.paste(255, (1475, 0, 1525, 50))

    assert read_image(saved(tmp_path / "a.png", image), (1, 50, 50)).min() == 255


def png(width, height, bits, colours, pixels):
    """Write a PNG by hand, because Pillow writes neither wrong sizes nor 16-bit colours."""
    size = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def bomb(width, height):
    """Return a PNG of a few bytes whose header states a huge size."""
    return png(width, height, 8, 0, bytes(99))


@pytest.mark.parametrize(
    ("brightest", "warning"), [(4095, "use 12 bits, of which 4"), (200, "8 bits, of which 0")]
)
def test_16_bit_colours_that_lose_bits_are_a_warning(tmp_path, caplog, brightest, warning):
    row = np.array([[0, brightest // 2, brightest]], dtype=">u2").tobytes()
    (tmp_path / "a.png").write_bytes(png(1, 1, 16, 2, b"\0" + row))

    assert find_white([tmp_path / "a.png"]) == 65535
    assert warning in caplog.text


def test_16_bit_colours_that_use_all_bits_are_no_warning(tmp_path, caplog):
    (tmp_path / "a.png").write_bytes(png(1, 1, 16, 2, b"\0" + b"\xff" * 6))
    grey = saved(tmp_path / "b.png", Image.fromarray(np.array([[4000]], dtype=np.uint16)))

    assert find_white([tmp_path / "a.png", grey]) == 4095
    assert not caplog.records


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "empty file", id="empty"),
        pytest.param(b"just some text", "not an image", id="text"),
        pytest.param(
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image", id="eps"
        ),
        pytest.param(bomb(10_000, 10_000), "decompression bomb", id="big"),
        pytest.param(bomb(60_000, 60_000), "decompression bomb", id="huge"),
    ],
)
def test_files_that_are_not_images_are_unreadable_with_a_reason(tmp_path, content, reason):
    path = tmp_path / "a.png"
    path.write_bytes(content)

    with pytest.raises(UnreadableError, match=reason):
        read_image(path, (3, 8, 8))


def test_a_truncated_jpeg_is_unreadable(tmp_path):
    path = saved(tmp_path / "a.jpg")
    path.write_bytes(path.read_bytes()[:-200])

    with pytest.raises(UnreadableError, match=r"(?i)truncated"):
        read_image(path, (3, 8, 8))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.png", "^No such file"),
        (".", "^Is a directory"),
        ("x" * 300, "^File name too long"),
    ],
)
def test_files_that_cannot_be_opened_are_unreadable(tmp_path, name, reason):
    with pytest.raises(UnreadableError, match=reason):
        read_image(tmp_path / name, (3, 8, 8))


@pytest.mark.parametrize("error", [TypeError, KeyError, IndexError, struct.error, OverflowError,
    AttributeError, RecursionError, MemoryError, ZeroDivisionError, AssertionError])  # fmt: skip
def test_whatever_a_decoder_raises_makes_its_file_unreadable(tmp_path, monkeypatch, error):
    def fail(*_):
        raise error(3)

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)

    with pytest.raises(UnreadableError, match=f"its decoder fails \\({error.__name__}: 3"):
        read_image(saved(tmp_path / "a.png"), (3, 8, 8))


def test_programming_errors_are_not_reported_as_unreadable_files(tmp_path):
    with pytest.raises(KeyError):
        read_image(saved(tmp_path / "a.png"), (2, 8, 8))


def test_a_tiff_of_a_wrong_type_is_unreadable(tmp_path):
    path = saved(tmp_path / "a.tif")
    content = bytearray(path.read_bytes())
    content[content.find(b"\x11\x01\x04\x00") + 2] = 2  # the offset of the pixels, as text
    path.write_bytes(content)

    with pytest.raises(UnreadableError, match="its decoder fails"):
        read_image(path, (3, 8, 8))


def test_an_image_may_come_from_a_pipe(tmp_path):
    content = io.BytesIO()
    picture().save(content, format="png")
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[content.getvalue()])
    writer.start()

    got = read_image(tmp_path / "pipe", (3, *SIZE))

    writer.join()
    assert np.array_equal(got, np.asarray(picture()).transpose(2, 0, 1))


def test_image_files_are_listed_in_order_without_hidden_and_other_files(tmp_path):
    names = ["b.png", "a.JPG", "deep/c.webp", ".hidden/d.png", "deep/.e.png", "notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    listed = [path.relative_to(tmp_path).as_posix() for path in IMAGE_FILES.below(tmp_path)]

    assert listed == ["a.JPG", "b.png", "deep/c.webp"]


def test_a_single_file_is_scaled_by_the_bits_that_it_uses(tmp_path):
    ramp = Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64))

    levels = read_image(saved(tmp_path / "ct.png", ramp), (1, 64, 64))

    assert len(np.unique(levels)) == 256

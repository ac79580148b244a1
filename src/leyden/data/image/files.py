"""Reading image files of any size and mode into arrays of one shape."""

import io
import logging
import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from leyden.data.rows import UnreadableError
from leyden.data.sources.folders import FileType

log = logging.getLogger(__name__)

IMAGE_FILES = FileType(
    noun="image",
    suffixes=(
        ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff",
    ),
)  # fmt: skip

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""Formats of files with these suffixes. By default Pillow tries all, PostScript included."""

DEEP_FORMATS = ("PNG", "TIFF")
"""Formats that can have 16 bits per channel."""

MODES = {1: "L", 3: "RGB"}

# Pillow warns of damaged metadata, which is harmless if the pixels can be read, and of sizes that
# are refused here. `warnings.catch_warnings` is not safe in several threads.
warnings.filterwarnings("ignore", module=r"PIL(\.|$)")

FULL_WHITE = 2**16 - 1


def read_image(
    source: Path | bytes,
    shape: tuple[int, int, int],
    *,
    background: str = "black",
    white: int | None = None,
    max_pixels: int | None = None,
) -> NDArray[np.uint8]:
    """Decode a file, turn it upright, convert its colours and resize it.

    The image is scaled to cover the wanted size and its centre is cut out, so that nothing is
    distorted.

    Args:
        source: The file, or its content.
        shape: ``(channels, height, width)`` of the result; one channel is grey, three are RGB.
        background: Colour behind transparent pixels.
        white: Value of 16-bit pixels that becomes 255, as do those above it; ``None`` for the
            largest value of the bits that the file uses.
        max_pixels: Largest number of pixels of the file; ``None`` for ``Image.MAX_IMAGE_PIXELS``.

    Returns:
        Pixels of this shape.

    Raises:
        UnreadableError: If the file is empty, damaged, too large, or not an image.
    """
    channels, height, width = shape
    image = _decode_upright(source, MODES[channels], max_pixels)
    if _is_deep(image):
        image = _scale_to_8_bits(image, white or 2 ** _used_bits(image) - 1).convert(
            MODES[channels]
        )
    elif image.mode == "RGBA":
        layer = Image.new("RGBA", image.size, background)
        image = Image.alpha_composite(layer, image).convert("RGB").convert(MODES[channels])
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def find_white(paths: Iterable[Path]) -> int:
    """Return the largest value of the bits that the 16-bit grey images of a data set use.

    Pillow reads only the upper 8 bits of 16-bit colours; a warning is logged if the images do not
    use all 16 bits.

    Returns:
        ``2**bits - 1``, such as 4095 for 12 bits; ``FULL_WHITE`` if no such file has 16 bits.
    """
    grey = colour = 0
    for path in paths:
        with suppress(UnreadableError), _open_image(path, DEEP_FORMATS) as image:
            if _is_deep(image) and grey < 16:
                grey = max(grey, _used_bits(image))
            elif _is_halved(image) and colour < 16:
                colour = max(colour, 8 + _used_bits(image.convert("RGB")))
    if 0 < colour < 16:
        log.warning(
            "16-bit colour images use %d bits, of which %d are read: save them with 8 bits",
            *(colour, colour - 8),
        )
    return 2**grey - 1 if grey else FULL_WHITE


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode pixels ``(channels, height, width)`` as a PNG file."""
    content = io.BytesIO()
    image = pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(image)).save(content, format="PNG")
    return content.getvalue()


def _decode_upright(source: Path | bytes, mode: str, max_pixels: int | None) -> Image.Image:
    """Decode a file upright, and convert it to a mode unless it has 16 bits or transparency."""
    with _open_image(source, FORMATS, max_pixels) as image:
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode in {"I", "F"}:
            raise UnreadableError("32-bit pixels have no agreed range; save it with 8 or 16 bits")
        if _is_deep(image):
            return image
        return image.convert("RGBA" if image.has_transparency_data else mode)


@contextmanager
def _open_image(
    source: Path | bytes, formats: tuple[str, ...], max_pixels: int | None = None
) -> Iterator[ImageFile.ImageFile]:
    """Open a file in Pillow; the body may only decode it.

    Raises:
        UnreadableError: If the image is too large, or Pillow raises any exception: damaged files
            cause errors of all types.
    """
    try:
        # Pillow seeks in a file, which a pipe does not allow.
        content = source.read_bytes() if isinstance(source, Path) and source.is_fifo() else source
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        with Image.open(stream, formats=formats) as image:
            _check_size(image, max_pixels)
            yield image
    except UnreadableError:
        raise
    except Exception as error:
        raise UnreadableError(_reason(source, error)) from error


def _check_size(image: Image.Image, max_pixels: int | None) -> None:
    """Raise before any pixel is decoded: a small file may hold a huge image."""
    most = min(max_pixels or math.inf, Image.MAX_IMAGE_PIXELS or math.inf)
    if image.width * image.height > most:
        raise UnreadableError(
            f"{image.width} x {image.height} pixels may be a decompression bomb: expected at most "
            f"{most} pixels"
        )


def _reason(source: Path | bytes, error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "empty file" if _is_empty(source) else "not an image"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(
        error, OSError | SyntaxError | ValueError | Image.DecompressionBombError | Warning
    ):
        return str(error)
    return f"its decoder fails ({type(error).__name__}: {error})"


def _is_empty(source: Path | bytes) -> bool:
    if isinstance(source, bytes):
        return not source
    return source.is_file() and source.stat().st_size == 0


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I;16")


def _is_halved(image: ImageFile.ImageFile) -> bool:
    """Whether Pillow will decode 16 bits per colour to the upper 8 of them."""
    return not _is_deep(image) and any(";16" in str(tile.args) for tile in image.tile)


def _used_bits(image: Image.Image) -> int:
    return int(np.asarray(image).max()).bit_length()


def _scale_to_8_bits(image: Image.Image, white: int) -> Image.Image:
    """Scale 16-bit pixels to 8 bits; Pillow itself would clip all above 255."""
    scaled = np.asarray(image).astype(np.uint32) * 256 // (white + 1)
    return Image.fromarray(np.minimum(scaled, 255).astype(np.uint8))

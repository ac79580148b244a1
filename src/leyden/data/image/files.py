"""Reading image files of any size and mode into arrays of one shape."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from leyden.data.folders import FileType
from leyden.data.rows import UnreadableError

IMAGE_FILES = FileType(
    noun="image", suffixes=(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
)

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""What may stand behind these suffixes; Pillow would try all it knows, PostScript included."""

MODES = {1: "L", 3: "RGB"}


def read_image(path: Path, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Decode a file, turn it upright, convert its colours and resize it.

    The image is scaled to cover the wanted size and its centre is cut out, so that nothing is
    distorted.

    Args:
        path: the file.
        shape: (channels, height, width) to give; one channel is grey, three are RGB.

    Raises:
        UnreadableError: the file is empty, cut short, no image, or too large to be one.
    """
    channels, height, width = shape
    try:
        with warnings.catch_warnings():
            # Torn metadata does no harm where the pixels can be read.
            warnings.simplefilter("ignore", UserWarning)
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                upright = ImageOps.exif_transpose(image)
                colours = _on_black(_eight_bits(upright)).convert(MODES[channels])
                fitted = ImageOps.fit(colours, (width, height), Image.Resampling.BILINEAR)
    except UnidentifiedImageError as error:
        raise UnreadableError(
            "empty file" if path.stat().st_size == 0 else "not an image"
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning) as error:
        raise UnreadableError(str(error)) from error
    except Image.DecompressionBombError as error:
        raise UnreadableError(str(error)) from error
    pixels = np.asarray(fitted, dtype=np.uint8).reshape(height, width, channels)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16 bits a pixel down to 8; Pillow itself would cut off all above 255."""
    if image.mode in {"I", "F"}:
        raise UnreadableError("32-bit pixels have no agreed range; save it with 8 or 16 bits")
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _on_black(image: Image.Image) -> Image.Image:
    """Lay transparent pixels on black, whatever colour hides under them."""
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer).convert("RGB")

"""Reading image files of any size and mode into arrays of one shape."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from leyden.data.rows import UnreadableError

FILE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

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
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image)
                colours = _on_black(upright).convert(MODES[channels])
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


def _on_black(image: Image.Image) -> Image.Image:
    """Lay transparent pixels on black, whatever colour hides under them."""
    if not image.has_transparency_data:
        return image
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "black"), layer).convert("RGB")

"""A network of NumPy that classifies images of 2 x 2 pixels, and the rows that it takes."""

from base64 import b64encode
from io import BytesIO

import numpy as np
from PIL import Image

from leyden.errors import UserError


def png(pixels):
    """Return the PNG file of pixels ``(height, width)`` uint8."""
    file = BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()


def image_row(value):
    """Return the JSON row of a 2 x 2 image of one value."""
    return {"image": b64encode(png(np.full((2, 2), value))).decode()}


def brightness(values):
    """Classify 2 x 2 images as dark or light, by their mean; fails for those of the value 13."""
    pixels = values["images"]
    if (pixels == 13).any():
        raise UserError("The network cannot compute 13.")
    light = pixels.mean(axis=(1, 2, 3), dtype=np.float32) / 255
    return {"probabilities": np.stack([1 - light, light], axis=1)}

"""The cleaning steps of images."""

from dataclasses import dataclass

from leyden.data.cleaning.steps import Cleaning


@dataclass(frozen=True, kw_only=True)
class ImageCleaning(Cleaning):
    """The cleaning steps of every kind of data; images have no others."""

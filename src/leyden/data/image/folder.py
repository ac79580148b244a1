"""Images in folders: one sub-folder per class."""

from typing import Any

from leyden.data.image.files import IMAGE_FILES
from leyden.data.image.listed import ListedImages
from leyden.data.sources.folders import LabelledFolder


class ImageFolder(ListedImages):
    """Image files whose paths tell their classes.

    A split that is not given is held out from the training split.

    Args:
        root: ``root/CLASS/*``, ``root/{train,val,test}/CLASS/*``, or what the pattern explains.
        pattern: Regular expression that reads the class out of paths (``LabelledFolder``).
        group: Regular expression that reads the group out of paths.
        options: Options of all listed images.
    """

    def __init__(
        self, *, root: str, pattern: str | None = None, group: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.listing = LabelledFolder(root, files=IMAGE_FILES, pattern=pattern, group=group)

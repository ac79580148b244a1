"""Images in folders: one sub-folder per class."""

from typing import Any

from leyden.data.image.files import IMAGE_FILES
from leyden.data.image.listed import ListedImages
from leyden.data.sources.folders import LabelledFolder
from leyden.files import DataPath


class ImageFolder(ListedImages):
    """Image files whose classes are read from their paths.

    Splits that the source lacks are held out from the training split.

    Args:
        root: ``root/CLASS/*``, ``root/{train,val,test}/CLASS/*``, or any paths with a pattern.
        pattern: Regular expression that reads the class from paths (``LabelledFolder``).
        group: Regular expression that reads the group from paths.
        options: Options of ``ListedImages``.
    """

    def __init__(
        self,
        *,
        root: DataPath,
        pattern: str | None = None,
        group: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.listing = LabelledFolder(root, files=IMAGE_FILES, pattern=pattern, group=group)

"""Images in folders: one sub-folder per class."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

import numpy as np

from leyden.data.folders import LabelledFile, LabelledFolder
from leyden.data.image.files import IMAGE_FILES, MODES, read_image
from leyden.data.image.module import ImageData
from leyden.data.rows import Part, RejectedItem, Rows, UnreadableError
from leyden.errors import UserError

FILES_PER_CHUNK = 256


class ImageFolder(ImageData):
    """PNG, JPEG, WebP and other images of any size, resized to one.

    A part that is not given is split off the training part.

    Args:
        root: ``root/CLASS/*``, ``root/{train,val,test}/CLASS/*``, or what the pattern explains.
        pattern: regular expression that reads the class out of paths (``LabelledFolder``).
        group: regular expression that reads the group out of paths.
        image_size: (height, width) that all images are brought to.
        channels: 1 for grey, 3 for RGB.
        options: those of every data module.
    """

    def __init__(
        self,
        *,
        root: str,
        pattern: str | None = None,
        group: str | None = None,
        image_size: tuple[int, int] = (64, 64),
        channels: Literal[1, 3] = 3,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if channels not in MODES:
            raise ValueError(f"channels: expected 1 (grey) or 3 (RGB), got {channels}")
        self.folder = LabelledFolder(root, files=IMAGE_FILES, pattern=pattern, group=group)
        self.image_shape = (channels, *image_size)

    def source_settings(self) -> dict[str, Any]:
        """Fingerprint the files, and the shape they are brought to."""
        return self.folder.settings() | {"shape": self.image_shape}

    def read(self) -> Iterator[Rows]:
        """Decode the files, part by part and class by class."""
        files = list(self.folder)
        readable: set[str] = set()
        for part, members in groupby(files, key=lambda file: file.part):
            listed = list(members)
            for start in range(0, len(listed), FILES_PER_CHUNK):
                rows = self._decode(part, listed[start : start + FILES_PER_CHUNK])
                readable.update(rows.targets.tolist())
                yield rows
        lost = sorted({file.target for file in files} - readable)
        if lost and readable:
            raise UserError(
                f"Not one file of {', '.join(lost)} in {self.folder.root} can be read. Mend the "
                "files, or remove the folder of the class."
            )

    def _decode(self, part: Part, files: Sequence[LabelledFile]) -> Rows:
        images, kept, rejected = [], [], []
        for file in files:
            try:
                images.append(read_image(file.path, self.image_shape))
            except UnreadableError as error:
                rejected.append(RejectedItem(source=file.source, reason=str(error)))
                continue
            kept.append(file)
        stacked = np.stack(images) if images else np.empty((0, *self.image_shape), np.uint8)
        groups = [file.group for file in kept if file.group is not None]
        return Rows(
            arrays={"images": stacked},
            targets=np.array([file.target for file in kept], dtype=str),
            part=part,
            sources=[file.source for file in kept],
            rejected=rejected,
            groups=np.array(groups, dtype=str) if groups else None,
        )

"""Images in folders: one sub-folder per class."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from leyden.data import cache
from leyden.data.image.files import FILE_SUFFIXES, MODES, image_files, read_image
from leyden.data.image.module import ImageData
from leyden.data.rows import Part, RejectedItem, Rows, UnreadableError
from leyden.errors import UserError

GIVEN_PARTS: tuple[Part, ...] = ("train", "val", "test")

FILES_PER_CHUNK = 256


class ImageFolder(ImageData):
    """PNG, JPEG, WebP and other images of any size, resized to one.

    Either ``root/CLASS/*`` or ``root/{train,val,test}/CLASS/*``; a part that is not given is split
    off the training part.

    Args:
        root: the folder.
        image_size: (height, width) that all images are brought to.
        channels: 1 for grey, 3 for RGB.
        options: those of every data module.
    """

    def __init__(
        self,
        *,
        root: str,
        image_size: tuple[int, int] = (64, 64),
        channels: Literal[1, 3] = 3,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if channels not in MODES:
            raise ValueError(f"channels: expected 1 (grey) or 3 (RGB), got {channels}")
        self.root = Path(root).expanduser()
        self.image_shape = (channels, *image_size)

    def source_settings(self) -> dict[str, Any]:
        """Fingerprint every file by its path, size and time, and the shape it is brought to."""
        files = [
            (str(file.relative_to(self.root)), *cache.file_state(file))
            for _, _, file in self._files()
        ]
        return {"root": str(self.root.resolve()), "files": files, "shape": self.image_shape}

    def read(self) -> Iterator[Rows]:
        """Decode the files, part by part and class by class."""
        files = list(self._files())
        readable: set[str] = set()
        for part in (*GIVEN_PARTS, "all"):
            items = [(name, file) for p, name, file in files if p == part]
            for start in range(0, len(items), FILES_PER_CHUNK):
                rows = self._decode(part, items[start : start + FILES_PER_CHUNK])
                readable.update(rows.targets.tolist())
                yield rows
        lost = sorted({name for _, name, _ in files} - readable)
        if lost and readable:
            raise UserError(
                f"Not one file of {', '.join(lost)} in {self.root} can be read. Mend the files, or "
                "remove the folder of the class."
            )

    def _decode(self, part: Part, items: list[tuple[str, Path]]) -> Rows:
        images, targets, sources, rejected = [], [], [], []
        for class_name, file in items:
            source = str(file.relative_to(self.root))
            try:
                images.append(read_image(file, self.image_shape))
            except UnreadableError as error:
                rejected.append(RejectedItem(source=source, reason=str(error)))
                continue
            targets.append(class_name)
            sources.append(source)
        stacked = np.stack(images) if images else np.empty((0, *self.image_shape), np.uint8)
        return Rows(
            arrays={"images": stacked},
            targets=np.array(targets, dtype=str),
            part=part,
            sources=sources,
            rejected=rejected,
        )

    def _files(self) -> Iterator[tuple[Part, str, Path]]:
        """List (part, class name, file) in a fixed order."""
        if not self.root.is_dir():
            raise UserError(
                f"data.root={self.root} is not a folder. Expected one sub-folder per class."
            )
        parts = [part for part in GIVEN_PARTS if (self.root / part).is_dir()]
        if not parts:
            yield from self._class_files("all", self.root)
            return
        self._check_parts(parts)
        for part in parts:
            yield from self._class_files(part, self.root / part)

    def _check_parts(self, parts: list[Part]) -> None:
        """Refuse a layout in which a part would be taken for a class, or for nothing."""
        others = sorted({entry.name for entry in _visible_folders(self.root)}.difference(parts))
        if "train" not in parts or others:
            raise UserError(
                f"data.root={self.root} holds {', '.join([*parts, *others])}. Expected either a "
                "sub-folder per class, or train/ with val/ and test/ as you like, and nothing "
                "else; rename the folders, those of classes called like a part too."
            )

    def _class_files(self, part: Part, folder: Path) -> Iterator[tuple[Part, str, Path]]:
        classes = _visible_folders(folder)
        if len(classes) < 2:
            raise UserError(
                f"{folder} holds {len(classes)} sub-folders. Expected one per class, so two at "
                "least."
            )
        for class_folder in classes:
            files = image_files(class_folder)
            if not files:
                raise UserError(
                    f"The class folder {class_folder} holds no image. Expected files that end in "
                    f"{', '.join(FILE_SUFFIXES)}; add some or remove the folder."
                )
            for file in files:
                yield part, class_folder.name, file


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )

"""Sounds in folders: one sub-folder per class, or names that a pattern explains."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leyden.data import cache
from leyden.data.audio.files import FILE_SUFFIXES, sound_files
from leyden.data.audio.module import AudioData, Clip
from leyden.data.rows import Part, Rows
from leyden.errors import UserError

GIVEN_PARTS: tuple[Part, ...] = ("train", "val", "test")

GROUP_NAMES = ("class", "group")


class AudioFolder(AudioData):
    """wav, flac, ogg and other sound files of any rate, channels and length.

    Either ``root/CLASS/*`` or ``root/{train,val,test}/CLASS/*``; a part that is not given is split
    off the training part. Where the names of files say more, a pattern reads them.

    Args:
        root: the folder.
        pattern: regular expression that is searched in each file's path below ``root`` (or below
            the folder of its part), with ``/`` between folders. What its group ``class`` matches is
            the class, else the file's folder is; what its group ``group`` matches, such as a
            speaker, is kept in one part.
        options: those of all sounds.
    """

    def __init__(self, *, root: str, pattern: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.root = Path(root).expanduser()
        self.pattern = None if pattern is None else _compiled(pattern)

    def source_settings(self) -> dict[str, Any]:
        """Fingerprint every file by its path, size and time, and what shapes the rows."""
        files = [(clip.source, *cache.file_state(clip.path)) for clip in self._clips()]
        pattern = self.pattern.pattern if self.pattern else None
        shape = self.source_shape()
        return {"root": str(self.root.resolve()), "files": files, "pattern": pattern} | shape

    def read(self) -> Iterator[Rows]:
        """Decode the files, part by part."""
        return self.read_clips(list(self._clips()))

    def _clips(self) -> Iterator[Clip]:
        """List the files in a fixed order."""
        if not self.root.is_dir():
            raise UserError(
                f"data.root={self.root} is not a folder. Expected one with sound files in a "
                "sub-folder per class."
            )
        parts = [part for part in GIVEN_PARTS if (self.root / part).is_dir()]
        if parts:
            self._check_parts(parts)
        for part in parts or ["all"]:
            folder = self.root if part == "all" else self.root / part
            if self.pattern is None:
                yield from self._clips_by_folder(part, folder)
            else:
                yield from self._clips_by_pattern(part, folder, self.pattern)

    def _check_parts(self, parts: list[Part]) -> None:
        """Refuse a layout in which a part would be taken for a class, or for nothing."""
        others = sorted({entry.name for entry in _visible_folders(self.root)}.difference(parts))
        if "train" not in parts or others:
            raise UserError(
                f"data.root={self.root} holds {', '.join([*parts, *others])}. Expected either a "
                "sub-folder per class, or train/ with val/ and test/ as you like, and nothing "
                "else; rename the folders, those of classes called like a part too."
            )

    def _clips_by_folder(self, part: Part, folder: Path) -> Iterator[Clip]:
        classes = _visible_folders(folder)
        if len(classes) < 2:
            raise UserError(
                f"{folder} holds {len(classes)} sub-folders. Expected one per class, so two at "
                "least, or data.pattern=REGEX that reads the class out of the names of files."
            )
        for class_folder in classes:
            files = sound_files(class_folder)
            if not files:
                raise UserError(
                    f"The class folder {class_folder} holds no sound. Expected files that end in "
                    f"{', '.join(FILE_SUFFIXES)}; add some or remove the folder."
                )
            for file in files:
                yield self._clip(part, file, target=class_folder.name)

    def _clips_by_pattern(
        self, part: Part, folder: Path, pattern: re.Pattern[str]
    ) -> Iterator[Clip]:
        for file in sound_files(folder):
            found = pattern.search(file.relative_to(folder).as_posix())
            names = found.groupdict() if found else {}
            if found is None or not all(names.values()):
                raise UserError(
                    f"data.pattern={pattern.pattern} finds no "
                    f"{' and '.join(pattern.groupindex) or 'match'} in "
                    f"{file.relative_to(folder).as_posix()}. Expected something in every sound "
                    f"file below {folder}: change the pattern, or move the file away."
                )
            target = names.get("class", file.parent.name)
            yield self._clip(part, file, target=target, group=names.get("group"))

    def _clip(self, part: Part, file: Path, *, target: str, group: str | None = None) -> Clip:
        source = str(file.relative_to(self.root))
        return Clip(path=file, source=source, target=target, part=part, group=group)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"data.pattern={pattern} is no regular expression: {error}. Expected one such as "
            "'(?P<class>[a-z]+)_(?P<group>[0-9]+)'."
        ) from error
    if unknown := sorted(set(compiled.groupindex).difference(GROUP_NAMES)):
        raise UserError(
            f"data.pattern={pattern} has a group {', '.join(unknown)}. Expected none but "
            f"{' and '.join(GROUP_NAMES)}; take (?:…) for others."
        )
    return compiled


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )

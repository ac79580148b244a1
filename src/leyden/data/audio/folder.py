"""Sounds in folders: one sub-folder per class, or classes read from the paths."""

from collections.abc import Iterator
from typing import Any

from leyden.data.audio.files import SOUND_FILES
from leyden.data.audio.module import AudioData
from leyden.data.rows import Rows
from leyden.data.sources.folders import LabelledFolder
from leyden.files import DataPath


class AudioFolder(AudioData):
    """wav, flac, ogg and other sound files of any rate, channels and length.

    Splits that the source lacks are held out from the training split.

    Args:
        root: ``root/CLASS/*``, ``root/{train,val,test}/CLASS/*``, or any paths with a pattern.
        pattern: Regular expression that reads the class from paths (``LabelledFolder``).
        group: Regular expression that reads the group, such as a speaker, from paths.
        options: Options of ``AudioData``.
    """

    look = "leyden.data.look.look_at_sound_files"

    def __init__(
        self,
        *,
        root: DataPath,
        pattern: str | None = None,
        group: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.folder = LabelledFolder(root, files=SOUND_FILES, pattern=pattern, group=group)

    def source_settings(self) -> dict[str, Any]:
        """Return the state of the files, and the settings that determine their waveforms."""
        return self.folder.settings() | self.source_shape()

    def read(self) -> Iterator[Rows]:
        """Decode the files, split by split."""
        yield from self.read_clips(list(self.folder))
        yield self.folder.report_skipped()

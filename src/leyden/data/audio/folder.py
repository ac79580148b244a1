"""Sounds in folders: one sub-folder per class, or paths that a pattern explains."""

from collections.abc import Iterator
from typing import Any

from leyden.data.audio.files import SOUND_FILES
from leyden.data.audio.module import AudioData
from leyden.data.rows import Rows
from leyden.data.sources.folders import LabelledFolder


class AudioFolder(AudioData):
    """wav, flac, ogg and other sound files of any rate, channels and length.

    A split that is not given is split off the training split.

    Args:
        root: ``root/CLASS/*``, ``root/{train,val,test}/CLASS/*``, or what the pattern explains.
        pattern: regular expression that reads the class out of paths (``LabelledFolder``).
        group: regular expression that reads the group, such as a speaker, out of paths.
        options: those of all sounds.
    """

    def __init__(
        self, *, root: str, pattern: str | None = None, group: str | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.folder = LabelledFolder(root, files=SOUND_FILES, pattern=pattern, group=group)

    def source_settings(self) -> dict[str, Any]:
        """Fingerprint the files, and what shapes their waveforms."""
        return self.folder.settings() | self.source_shape()

    def read(self) -> Iterator[Rows]:
        """Decode the files, split by split."""
        yield from self.read_clips(list(self.folder))
        yield self.folder.report_skipped()

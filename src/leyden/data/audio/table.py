"""Transcribed speech in tables: each row names a sound file and its transcript."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leyden.data.audio.speech import SpeechData, Utterance
from leyden.data.rows import Rows
from leyden.data.sources.path_table import PathTable
from leyden.data.sources.tables import TableFile
from leyden.files import DataPath


class SpeechText(SpeechData):
    r"""Sound files that a CSV, TSV, JSON lines or Parquet file lists with their transcripts.

    Splits that the source lacks are held out from the training split.

    Args:
        path: The table.
        audio: Column of the sound files' paths, with ``/`` or ``\\`` between folders.
        audio_root: Folder that relative paths start from; ``None`` for that of the table.
        target: Column of the transcripts.
        group: Column of what must stay in one split, such as the speaker.
        split: Column of the rows' splits: train, val or test, in any usual spelling, or all.
        options: Options of ``SpeechData``.
    """

    def __init__(
        self,
        *,
        path: DataPath,
        audio: str = "path",
        audio_root: DataPath | None = None,
        target: str = "transcript",
        group: str | None = None,
        split: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.listing = PathTable(
            TableFile(path=Path(path).expanduser()),
            columns={"path": audio, "target": target, "group": group, "split": split},
            root=audio_root,
            root_key="data.audio_root",
            empty_targets=True,  # the cleaning step `empty` decides on them
        )

    def source_settings(self) -> dict[str, Any]:
        """Return the state of the table and its files, and the settings that determine the rows."""
        return self.listing.settings() | self.source_shape()

    def read(self) -> Iterator[Rows]:
        """Decode the recordings, split by split."""
        yield self.listing.report_skipped()
        yield from self.read_utterances(
            Utterance(
                paths=[file.path],
                transcript=file.target,
                source=file.source,
                split=file.split,
                group=file.group,
            )
            for file in self.listing
        )

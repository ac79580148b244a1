"""Your own transcribed recordings: a table of files and transcripts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leyden.data.audio.speech import SpeechData, Utterance
from leyden.data.rows import GIVEN_SPLITS, GivenSplit, RejectedItem, Rows
from leyden.data.sources.split_names import assign_splits, parse_split
from leyden.data.sources.tables import TableFile
from leyden.errors import UserError
from leyden.files import file_state


class SpeechText(SpeechData):
    r"""A CSV, TSV, JSON lines or Parquet file that names a sound file and its transcript in a row.

    Args:
        path: The table.
        audio: Column of the sound files: paths with ``/`` or ``\`` between folders.
        audio_root: Folder that relative paths start from; that of the table by default.
        target: Column of the transcripts.
        group: Column of what must not be torn apart by a split, such as the speaker.
        split: Column that holds the split of each row by any of its usual names, such as ``dev``,
            or ``all`` for rows that are to be split.
        options: Those of all speech.
    """

    def __init__(
        self,
        *,
        path: str,
        audio: str = "path",
        audio_root: str | None = None,
        target: str = "transcript",
        group: str | None = None,
        split: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.table = TableFile(path=Path(path).expanduser())
        self.root = Path(audio_root).expanduser() if audio_root else self.table.path.parent
        self.columns = {"audio": audio, "target": target, "group": group, "split": split}

    def source_settings(self) -> dict[str, Any]:
        """Fingerprint the table and every file that it names."""
        utterances, _ = self._listed()
        files = [file_state(utterance.paths[0]) for utterance in utterances]
        table = (str(self.table.path.resolve()), *file_state(self.table.path))
        return {"table": table, "columns": self.columns, "files": files} | self.source_shape()

    def read(self) -> Iterator[Rows]:
        """Decode the recordings, split by split."""
        utterances, rejected = self._listed()
        return self.read_utterances(utterances, rejected=rejected)

    def _listed(self) -> tuple[list[Utterance], list[RejectedItem]]:
        """List the rows of the table by split, and those that cannot be used."""
        wanted = {role: column for role, column in self.columns.items() if column is not None}
        found: list[tuple[str, dict[str, str]]] = []
        rejected: list[RejectedItem] = []
        for chunk in self.table.chunks(list(wanted.values())):
            rejected += chunk.rejected
            columns = [chunk.columns[column].to_pylist() for column in wanted.values()]
            for source, *cells in zip(chunk.sources, *columns, strict=True):
                row = dict(zip(wanted, cells, strict=True))
                if missing := [wanted[role] for role, cell in row.items() if cell is None]:
                    reason = f"has no value in {' and '.join(missing)}"
                    rejected.append(RejectedItem(source=source, reason=reason))
                else:
                    found.append((source, row))
        if not self.root.is_dir():
            raise UserError(
                f"data.audio_root={self.root} is not a folder. Expected the one that the paths in "
                f"{self.columns['audio']!r} start from."
            )
        first_rows: dict[str, str] = {}
        for source, row in found:
            first_rows.setdefault(row.get("split", "all"), source)
        splits = self._splits_meant(first_rows)
        utterances = [self._utterance(source, splits, **row) for source, row in found]
        return sorted(utterances, key=lambda each: GIVEN_SPLITS.index(each.split)), rejected

    def _splits_meant(self, first_rows: Mapping[str, str]) -> dict[str, GivenSplit]:
        """Return the split that each name means.

        Args:
            first_rows: The first row of each name.

        Raises:
            UserError: If a name means no split, or either of two.
        """
        splits = assign_splits(first_rows)
        for name, source in first_rows.items():
            if name not in splits:
                means = "may mean val or test" if parse_split(name) else "means no split"
                raise UserError(
                    f"{source} of {self.table.path} is in the split {name!r}, which {means}. "
                    "Expected train, val or test, or all for rows that are to be split."
                )
        return splits

    def _utterance(
        self,
        source: str,
        splits: Mapping[str, GivenSplit],
        *,
        audio: str,
        target: str,
        group: str | None = None,
        split: str = "all",
    ) -> Utterance:
        file = self.root / audio
        if "\\" in audio and not file.exists():  # as Windows writes it
            audio = audio.replace("\\", "/")
            file = self.root / audio
        return Utterance(
            paths=[file],
            transcript=target,
            source=f"{source}: {audio}",
            split=splits[split],
            group=group,
            identity=audio,
        )

"""Your own transcribed recordings: a table of files and transcripts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from leyden.data import cache
from leyden.data.audio.speech import SpeechData, Utterance
from leyden.data.rows import Part, RejectedItem, Rows
from leyden.data.tables import TableFile
from leyden.errors import UserError, did_you_mean


class SpeechText(SpeechData):
    """A CSV, TSV, JSON lines or Parquet file that names a sound file and its transcript in a row.

    Args:
        path: the table.
        audio: column of the sound files, from the table's folder on.
        target: column of the transcripts.
        group: column of what must not be torn apart by a split, such as the speaker.
        part: column that says ``train``, ``val``, ``test``, or ``all`` for what is to be split.
        options: those of all speech.
    """

    def __init__(
        self,
        *,
        path: str,
        audio: str = "path",
        target: str = "transcript",
        group: str | None = None,
        part: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.table = TableFile(path=Path(path).expanduser())
        self.columns = {"audio": audio, "target": target, "group": group, "part": part}

    def source_settings(self) -> dict[str, Any]:
        """Fingerprint the table and every file that it names."""
        utterances, _ = self._listed()
        files = [cache.file_state(utterance.paths[0]) for utterance in utterances]
        table = (str(self.table.path.resolve()), *cache.file_state(self.table.path))
        return {"table": table, "columns": self.columns, "files": files} | self.source_shape()

    def read(self) -> Iterator[Rows]:
        """Decode the recordings, part by part."""
        utterances, rejected = self._listed()
        return self.read_utterances(utterances, rejected=rejected)

    def _listed(self) -> tuple[list[Utterance], list[RejectedItem]]:
        """List the rows of the table by part, and those that can't be used."""
        wanted = {role: column for role, column in self.columns.items() if column is not None}
        utterances: list[Utterance] = []
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
                    utterances.append(self._utterance(source, **row))
        order = get_args(Part)
        return sorted(utterances, key=lambda each: order.index(each.part)), rejected

    def _utterance(
        self, source: str, *, audio: str, target: str, group: str | None = None, part: str = "all"
    ) -> Utterance:
        if part not in get_args(Part):
            raise UserError(
                f"{source} of {self.table.path} puts a row in the part {part!r}. Expected train, "
                f"val, test or all.{did_you_mean(part, get_args(Part))}"
            )
        return Utterance(
            paths=[self.table.path.parent / audio],
            transcript=target,
            source=f"{source}: {audio}",
            part=part,  # type: ignore[arg-type]  # checked
            group=group,
        )

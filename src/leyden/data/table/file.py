"""A table of one's own in one file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from leyden.data import cache
from leyden.data.table.module import TableData
from leyden.data.tables import Chunk, TableFile


class Table(TableData):
    """CSV, TSV, JSON lines or Parquet.

    Args:
        path: the file.
        encoding: of its text.
        separator: between its cells; the first line tells by default.
        options: those of every table.
    """

    def __init__(
        self,
        *,
        path: str,
        encoding: str = "utf-8",
        separator: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.encoding = encoding
        self.separator = separator
        self.file = self.input_file(Path(path).expanduser())

    def input_file(self, path: Path) -> TableFile:
        """Open a file that is written like the table."""
        return TableFile(path=path, encoding=self.encoding, separator=self.separator)

    def table_settings(self) -> dict[str, Any]:
        """Fingerprint the file by its path, size and time, and how it is read."""
        path = self.file.path
        return {"file": [str(path.resolve()), *cache.file_state(path)], **self._reading()}

    def column_names(self) -> list[str]:
        """List the columns of the file."""
        return self.file.column_names()

    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read some columns of the file."""
        return self.file.chunks(columns)

    def _reading(self) -> dict[str, Any]:
        return {"encoding": self.encoding, "separator": self.separator}

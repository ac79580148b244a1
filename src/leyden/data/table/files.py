"""A table of one's own in one file."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.module import TableData
from leyden.files import DataPath, file_state


class Table(TableData):
    """CSV, TSV, JSON lines or arrays, or Parquet.

    Args:
        path: The file.
        encoding: Encoding of its text.
        separator: Separator of its cells; recognised by the first line by default.
        header: Whether the first line of a CSV file holds the names of the columns, which are
            ``column_1`` and so on if not; or the names.
        comment: What comment lines of a CSV file begin with.
        options: Options of every table.
    """

    def __init__(
        self,
        *,
        path: DataPath,
        encoding: str = "utf-8",
        separator: str | None = None,
        header: bool | Sequence[str] = True,
        comment: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.file = TableFile(
            path=Path(path).expanduser(),
            encoding=encoding,
            separator=separator,
            header=header if isinstance(header, bool) else tuple(header),
            comment=comment,
        )

    def input_file(self, path: str) -> TableFile:
        """Open a file that is written like the table."""
        return replace(self.file, path=Path(path), title=path)

    def table_settings(self) -> dict[str, Any]:
        """Fingerprint the file by its path, size and time, and how it is read."""
        path = self.file.path
        written = {"path": str(path.resolve()), "state": file_state(path)}
        return {f.name: getattr(self.file, f.name) for f in fields(self.file)} | written

    def column_names(self) -> list[str]:
        """List the columns of the file."""
        return self.file.column_names()

    def chunks(self, columns: Sequence[str], *, beside: Sequence[str] = ()) -> Iterator[Chunk]:
        """Read some columns of the file."""
        return self.file.chunks(columns, beside=beside)

"""Tables in files."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.module import TableData
from leyden.files import DataPath, file_state


class Table(TableData):
    """A table in a file: CSV, TSV, JSON lines or arrays, or Parquet.

    Args:
        path: The file.
        encoding: Encoding of the file.
        separator: Separator of cells in CSV; ``None`` for the likeliest.
        header: Whether the first line of CSV holds the names of the columns, or their names; if
            False, they are ``column_1`` and so on.
        comment: Beginning of comment lines in CSV; ``None`` if there are none.
        options: Options of ``TableData``.
    """

    look = "leyden.data.table.look.look_at_table"

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

    def input_file(self) -> TableFile:
        """Return the format of the table."""
        return self.file

    def table_settings(self) -> dict[str, Any]:
        """Return the state of the file, and the settings by which it is read."""
        path = self.file.path
        written = {"path": str(path.resolve()), "state": file_state(path)}
        return {f.name: getattr(self.file, f.name) for f in fields(self.file)} | written

    def column_names(self) -> list[str]:
        """Return the names of the columns of the file."""
        return self.file.column_names()

    def chunks(self, columns: Sequence[str], *, beside: Sequence[str] = ()) -> Iterator[Chunk]:
        """Yield chunks of some columns of the file."""
        return self.file.chunks(columns, beside=beside)

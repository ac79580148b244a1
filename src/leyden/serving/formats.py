"""Formats of predicted rows: CSV, JSON lines and Parquet."""

import csv
import io
import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import IO, Any, ClassVar

from leyden.data.sources.arrow import pyarrow
from leyden.printable import cell, file_cell

ROWS_PER_GROUP = 1 << 16
"""Rows of a row group of Parquet, which are in memory together."""

Row = Mapping[str, Any]

OpenPart = Callable[[], AbstractContextManager[IO[bytes]]]
"""Opens the encoded rows of a part."""


class RowFormat(ABC):
    """A format of rows, which are encoded part by part and then joined."""

    nested: ClassVar[bool] = False
    """Whether a cell may be a list."""

    @abstractmethod
    def encode(self, rows: Sequence[Row], *, texts: Collection[str]) -> bytes:
        """Encode the rows of a part, of which there is one at least.

        Args:
            rows: Rows with the same columns.
            texts: Names of columns of text, which may be missing in all rows.
        """

    def header(self, columns: Sequence[str]) -> bytes:  # noqa: ARG002
        """Return what comes before the first row."""
        return b""

    def join(self, parts: Sequence[OpenPart], columns: Sequence[str], sink: IO[bytes]) -> None:
        """Write a file of all parts.

        Args:
            parts: Parts with rows.
            columns: Names of the columns.
            sink: The file.
        """
        sink.write(self.header(columns))
        for part in parts:
            with part() as stream:
                shutil.copyfileobj(stream, sink)


class CsvRows(RowFormat):
    """CSV whose cells a spreadsheet does not evaluate, and a terminal does not interpret."""

    def header(self, columns: Sequence[str]) -> bytes:
        """Return the line of the names."""
        return _csv([map(cell, columns)])

    def encode(self, rows: Sequence[Row], *, texts: Collection[str]) -> bytes:  # noqa: ARG002
        """Encode rows as lines."""
        return _csv([_csv_cell(name, value) for name, value in row.items()] for row in rows)


class JsonLines(RowFormat):
    """An object per line, with unchanged values."""

    nested = True

    def encode(self, rows: Sequence[Row], *, texts: Collection[str]) -> bytes:  # noqa: ARG002
        """Encode rows as lines."""
        return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


class ParquetRows(RowFormat):
    """Parquet with unchanged values, whose columns have one type in all parts."""

    def encode(self, rows: Sequence[Row], *, texts: Collection[str]) -> bytes:
        """Encode rows as a stream of Arrow."""
        pa = pyarrow()
        columns = {
            name: pa.array([_encodable(row[name]) for row in rows], _text_type(name in texts))
            for name in rows[0]
        }
        batch = pa.record_batch(columns)
        sink = io.BytesIO()
        with pyarrow("ipc").new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        return sink.getvalue()

    def join(
        self,
        parts: Sequence[OpenPart],
        columns: Sequence[str],  # noqa: ARG002
        sink: IO[bytes],
    ) -> None:
        """Write the parts with the types that hold the values of all of them."""
        pa, ipc = pyarrow(), pyarrow("ipc")
        schemas = []
        for part in parts:
            with part() as stream, ipc.open_stream(stream) as batches:
                schemas.append(batches.schema)
        schema = pa.unify_schemas(schemas, promote_options="permissive")
        with pyarrow("parquet").ParquetWriter(sink, schema) as writer:
            for tables in _grouped(parts):
                writer.write_table(pa.concat_tables([table.cast(schema) for table in tables]))


FORMATS: Mapping[str, RowFormat] = {
    "csv": CsvRows(),
    "jsonl": JsonLines(),
    "parquet": ParquetRows(),
}
"""Formats by name, which is also the suffix of their files."""


def _csv(rows: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    # Names of files may hold bytes that are not text.
    return text.getvalue().encode(errors="backslashreplace")


def _csv_cell(name: str, value: Any) -> Any:
    if isinstance(value, str):
        return file_cell(value) if name == "file" else cell(value)
    return value


def _encodable(value: Any) -> Any:
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _text_type(is_text: bool) -> Any:  # noqa: FBT001
    """Return the type of a column of text; ``None`` to infer that of others."""
    return pyarrow().string() if is_text else None


def _grouped(parts: Sequence[OpenPart]) -> Iterator[list[Any]]:
    """Yield the tables of consecutive parts, together of some rows at least."""
    tables: list[Any] = []
    for part in parts:
        with part() as stream, pyarrow("ipc").open_stream(stream) as batches:
            tables.append(batches.read_all())
        if sum(map(len, tables)) >= ROWS_PER_GROUP:
            yield tables
            tables = []
    if tables:
        yield tables

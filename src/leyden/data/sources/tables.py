"""Table files of any size: CSV, TSV, JSON and Parquet, read in chunks.

Cells are strings in every format, so that the type of a column can be inferred from all of its rows
and not only the first ones.
"""

import gzip
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from leyden.data.rows import RejectedItem
from leyden.data.sources.arrow import Columns, RawRows, find_undecodable, pyarrow
from leyden.data.sources.csv_files import BLOCK_BYTES, CsvFormat
from leyden.data.sources.encodings import UNDECODABLE, as_utf8, check_encoding
from leyden.data.sources.json_lines import JsonFormat
from leyden.data.sources.parquet import ParquetFormat
from leyden.data.values import normal
from leyden.errors import UserError, did_you_mean

SEPARATED = (".csv", ".tsv", ".tab", ".txt")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
FILE_SUFFIXES = (*SEPARATED[:-1], *JSON, *PARQUET)
"""Suffixes of tables among files that may also be texts."""

BEGINNINGS = ((b"PAR1", ".parquet"), (b"{", ".jsonl"), (b"[", ".json"))
"""First bytes of files without a suffix, and the suffix of their format; CSV is the default."""

GZIP = b"\x1f\x8b"

COUNTED_BYTES = 1 << 21
"""Number of bytes that are parsed at once where rows are counted."""

Format = CsvFormat | JsonFormat | ParquetFormat


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Consecutive rows of a table.

    Attributes:
        columns: Strings ``(rows,)`` by name of the column; null if a cell is missing.
        sources: Display name of each row: the name of the file and the number of the row in it,
            where a header is row 1.
        rejected: Rows that cannot be read.
        numbers: Names of the columns whose cells the format itself types as numbers; they are
            written as in Python.
    """

    columns: Columns
    sources: Sequence[str]
    rejected: Sequence[RejectedItem] = ()
    numbers: AbstractSet[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """Table on disk, whose format is that of its suffix; ``.gz`` after it means compressed.

    A pipe such as ``/dev/stdin`` has no suffix: it is copied to a temporary file, and its format is
    detected from its first bytes.

    Attributes:
        path: Path of the file.
        encoding: Encoding of a text file that has no byte order mark.
        separator: Separator of the cells of a CSV file; ``None`` for the most frequent one in the
            first line.
        header: Whether the first line of a CSV file holds the names of the columns, which are
            otherwise ``column_1`` and so on; or the names.
        comment: Beginning of comment lines of a CSV file.
        title: Name of the table in messages; by default the path, and in display names of rows the
            name of the file.
    """

    path: Path
    encoding: str = "utf-8"
    separator: str | None = None
    header: bool | Sequence[str] = True
    comment: str | None = None
    title: str | None = None

    def column_names(
        self, enough: Sequence[str] | None = None, *, block_bytes: int = BLOCK_BYTES
    ) -> list[str]:
        """Return the names of the columns, trimmed; the third is ``unnamed_3`` if it has no name.

        Args:
            enough: Names of the columns to find, if there are; other ones may be omitted.
            block_bytes: Number of bytes of text that are parsed at once; no row may be longer.

        Raises:
            UserError: If the file is missing, damaged or of an unknown format, or two columns have
                the same name.
        """
        return list(self._columns(enough, self._format_in(block_bytes)))

    def chunks(
        self,
        columns: Sequence[str] | None = None,
        *,
        beside: Sequence[str] = (),
        block_bytes: int = BLOCK_BYTES,
    ) -> Iterator[Chunk]:
        """Read some columns in chunks of bounded size.

        A row is rejected if it has too many or too few cells, is not a JSON object, or is not valid
        in the encoding.

        Args:
            columns: Names of the columns to read; ``None`` for all.
            beside: Names of further columns to read; invalid cells in them do not reject a row.
            block_bytes: Number of bytes of text that are parsed at once; no row may be longer.

        Raises:
            UserError: For the reasons of ``column_names``, or if a column is missing.
        """
        needed = None if columns is None else list(dict.fromkeys([*columns, *beside]))
        form = self._format_in(block_bytes)
        names = self._columns(needed, form)
        wanted = list(names) if needed is None else needed
        if absent := [column for column in wanted if column not in names]:
            raise UserError(
                f"{self._name} has no column {absent[0]!r}.{did_you_mean(absent[0], names)}"
            )
        with self._opened() as stream:
            for raw in form.rows(stream, wanted, names):
                yield self._chunk(raw, {*beside} - {*(columns or ())})

    def has_more_rows(self, rows: int) -> bool:
        """Whether the file has more rows, of which little more than these are parsed.

        Raises:
            UserError: For the reasons of ``column_names``.
        """
        form = self._format_in(COUNTED_BYTES)
        names = self._columns((), form)
        counted = 0
        with self._opened() as stream:
            for raw in form.rows(stream, list(names)[:1], names):
                counted += len(raw.row_numbers) + len(raw.faults)
                if counted > rows:
                    return True
        return False

    @property
    def _name(self) -> str:
        return self.title or str(self.path)

    @cached_property
    def _copy(self) -> IO[bytes] | None:
        """Copy of the content of a pipe, because a table is read several times."""
        return _copy_of(self.path) if self.path.exists() and not self.path.is_file() else None

    @property
    def _file(self) -> Path:
        return Path(self._copy.name) if self._copy else self.path

    @cached_property
    def _suffixes(self) -> tuple[str, bool]:
        """Suffix of the format, and whether the file is compressed.

        Raises:
            UserError: If the file does not exist.
        """
        if not self.path.exists() or self.path.is_dir():
            found = "is a folder" if self.path.is_dir() else "does not exist"
            raise UserError(f"The table {self._name} {found}. Give the path of a table file.")
        name = self.path.name.lower()
        if not self.path.suffix:
            name = _suffix_of(self._file)
        bare = name.removesuffix(".gz")
        return f".{bare.rpartition('.')[2]}", bare != name

    @cached_property
    def _format(self) -> Format:
        suffix, packed = self._suffixes
        if suffix in SEPARATED:
            return CsvFormat(separator=self.separator, header=self.header, comment=self.comment)
        if suffix in JSON:
            return JsonFormat(may_be_array=suffix == JSON[-1])
        if suffix in PARQUET and not packed:
            return ParquetFormat()
        raise UserError(
            f"{self._name} is of an unknown format. Expected a name that ends in "
            f"{', '.join((*FILE_SUFFIXES, SEPARATED[-1]))}, with .gz after it if a text is "
            "compressed; save the table as one of these."
        )

    def _format_in(self, block_bytes: int) -> CsvFormat | JsonFormat | ParquetFormat:
        form = self._format
        return form if isinstance(form, ParquetFormat) else replace(form, block_bytes=block_bytes)

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        """Open the file, recoded to UTF-8 if it is text, for a block that reads it.

        Raises:
            UserError: If the file is missing, damaged or of an unknown format or encoding.
        """
        check_encoding(self.encoding)
        opened: Callable[..., Any] = gzip.open if self._suffixes[1] else open
        is_text = not isinstance(self._format, ParquetFormat)
        try:
            with opened(self._file, "rb") as stream:
                yield as_utf8(stream, self.encoding) if is_text else stream
        except (OSError, EOFError, ValueError, NotImplementedError, zlib.error) as error:
            raise UserError(
                f"{self._name} cannot be read as a table: {error}. Fix it, or replace it by an "
                "intact copy in the format of its suffix."
            ) from error

    def _columns(
        self, enough: Sequence[str] | None = None, form: Format | None = None
    ) -> dict[str, str]:
        """Return the name in the file by name of the column.

        Args:
            enough: Names of the columns to find, if there are; other ones may be omitted.
            form: Parser of the file; that of its suffix by default.
        """
        with self._opened() as stream:
            written = (form or self._format).names(stream, enough)
        if any(UNDECODABLE in name for name in written):
            raise UserError(
                f"The column names of {self._name} are not valid {self.encoding}. "
                "Give the encoding of the file, such as data.encoding=cp1252"
            )
        named = [
            normal(name) or f"unnamed_{position}" for position, name in enumerate(written, start=1)
        ]
        if repeated := sorted({name for name in named if named.count(name) > 1}):
            raise UserError(
                f"{self._name} has several columns called {', '.join(repeated)}. "
                "Rename all but one, or give data.header=false if its first line is a row."
            )
        return dict(zip(named, written, strict=True))

    def _chunk(self, raw: RawRows, beside: AbstractSet[str]) -> Chunk:
        """Build a chunk without the rows whose cells are not valid in the encoding."""
        judged = {name: cells for name, cells in raw.columns.items() if name not in beside}
        undecoded = find_undecodable(judged)
        columns = raw.columns
        if undecoded:
            kept = pyarrow().array([row not in undecoded for row in range(len(raw.row_numbers))])
            columns = {name: cells.filter(kept) for name, cells in columns.items()}
        faults = [
            (raw.row_numbers[row], self._undecodable(column)) for row, column in undecoded.items()
        ]
        name = self.title or self.path.name
        return Chunk(
            columns=columns,
            sources=[
                f"{name} row {n}" for row, n in enumerate(raw.row_numbers) if row not in undecoded
            ],
            rejected=[
                RejectedItem(source=f"{name} row {number}", reason=reason)
                for number, reason in (*raw.faults, *faults)
            ],
            numbers=raw.number_columns,
        )

    def _undecodable(self, column: str) -> str:
        if isinstance(self._format, ParquetFormat):
            return f"{column} is not valid utf-8; leave out columns that are not text"
        return (
            f"{column} is not valid {self.encoding}; give the encoding of the file, such as "
            "data.encoding=cp1252"
        )


def _copy_of(pipe: Path) -> IO[bytes]:
    """Copy the content of a pipe to a temporary file, which is deleted when it is closed."""
    copy = tempfile.NamedTemporaryFile(prefix="leyden-")  # noqa: SIM115  # open while it is read
    with pipe.open("rb") as stream:
        shutil.copyfileobj(stream, copy)
    copy.flush()
    return copy


def _suffix_of(file: Path) -> str:
    """Detect the format of a file from its first bytes, and return its suffix."""
    with file.open("rb") as stream:
        packed = stream.read(len(GZIP)) == GZIP
    beginning = b""
    with (
        suppress(OSError, EOFError, zlib.error),  # damage is reported when the table is read
        gzip.open(file) if packed else file.open("rb") as stream,
    ):
        beginning = stream.read(1 << 10).lstrip()
    suffix = next((suffix for start, suffix in BEGINNINGS if beginning.startswith(start)), ".csv")
    return f"{suffix}.gz" if packed else suffix

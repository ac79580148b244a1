"""Reading table files of any size: CSV, TSV, JSON and Parquet, chunk by chunk.

Every format gives strings, so that whoever infers a column's type can judge the whole column and
not only its first rows.
"""

import gzip
import itertools
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from leyden.data.rows import RejectedItem
from leyden.data.sources.arrow import (
    UNDECODABLE,
    as_strings,
    decoded,
    is_number,
    pyarrow,
    undecodable,
)
from leyden.data.sources.csv_streams import decodable, ended, without_comments
from leyden.data.sources.encodings import as_utf8, check_encoding
from leyden.data.sources.json_lines import JsonNumber, json_blocks, json_cell, json_names
from leyden.data.sources.pipes import copy_of, suffix_of
from leyden.data.values import normal
from leyden.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATED = (".csv", ".tsv", ".tab", ".txt")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
FILE_SUFFIXES = (*SEPARATED[:-1], *JSON, *PARQUET)
"""Endings of names that mean a table wherever a file may also be a text."""

SEPARATORS = ",;\t|"
"""Those that are recognised by the first line."""

STATED = re.compile(rb'"?sep=([!-~ \t])"?[ \t]*\r?\n', re.IGNORECASE)
"""First line by which spreadsheets state the separator."""

STATED_BYTES = 10

BLOCK_BYTES = 1 << 24
"""Parsed at once; no row may be longer."""

ROWS_PER_CHUNK = 1 << 14

Fault = tuple[int, str]
"""Number of a row that can't be read, and why."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Consecutive rows of a table.

    Attributes:
        columns: strings ``(rows,)`` by name of the column; null where a cell is missing.
        sources: file and number of each row, for people; a header is row 1.
        rejected: rows that could not be read.
        numbers: Columns of numbers that the format itself knows as such, spelled as in Python.
    """

    columns: "Mapping[str, pa.StringArray]"
    sources: Sequence[str]
    rejected: Sequence[RejectedItem] = ()
    numbers: AbstractSet[str] = frozenset()


class _Raw(NamedTuple):
    """Rows as a parser gives them: bytes or strings, their numbers, and rows it cannot parse."""

    batch: "pa.RecordBatch"
    numbers: Sequence[int]
    faults: Sequence[Fault] = ()
    number_columns: AbstractSet[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table on disk. The suffix of its name is its format; ``.gz`` after it means compressed.

    A pipe such as ``/dev/stdin`` has no suffix: it is copied to a temporary file, and its first
    bytes decide its format.

    Attributes:
        path: The file.
        encoding: Encoding of text without a byte order mark.
        separator: Separator of the cells of CSV; ``None`` takes the one that the first line holds
            most often.
        header: Whether the first line of a CSV file holds the names of the columns, which are
            ``column_1`` and so on if not; or the names.
        comment: What comment lines of a CSV file begin with.
        title: What its rows are called by; the name of the file by default.
    """

    path: Path
    encoding: str = "utf-8"
    separator: str | None = None
    header: bool | Sequence[str] = True
    comment: str | None = None
    title: str | None = None

    def column_names(self) -> list[str]:
        """List the columns in their order: trimmed, and ``unnamed_3`` if the third has no name.

        Raises:
            UserError: If the file is missing, damaged, of no known format, or has two columns of
                one name.
        """
        return list(self._columns())

    def chunks(
        self, columns: Sequence[str] | None = None, *, beside: Sequence[str] = ()
    ) -> Iterator[Chunk]:
        """Read some columns, or all, in chunks of bounded size.

        A row is rejected if it has too many cells or too few, is not a JSON object, or is not valid
        in the encoding.

        Args:
            columns: Columns to read.
            beside: More columns, whose cells that are not valid do not make a row unreadable.

        Raises:
            UserError: As for ``column_names``, or if there is no such column.
        """
        needed = None if columns is None else list(dict.fromkeys([*columns, *beside]))
        names = self._columns(needed)
        wanted = list(names) if needed is None else needed
        if absent := [column for column in wanted if column not in names]:
            raise UserError(
                f"{self.title or self.path} has no column {absent[0]!r}."
                f"{did_you_mean(absent[0], names)}"
            )
        read = {SEPARATED: self._csv_chunks, JSON: self._json_chunks}
        with self._worded():
            for raw in read.get(self._format, self._parquet_chunks)(wanted, names):
                yield self._decoded(raw, {*beside} - {*(columns or ())})

    @cached_property
    def _copy(self) -> IO[bytes] | None:
        """A copy of what comes through a pipe, because a table is read several times."""
        return copy_of(self.path) if self.path.exists() and not self.path.is_file() else None

    @property
    def _file(self) -> Path:
        return Path(self._copy.name) if self._copy else self.path

    @cached_property
    def _suffixes(self) -> tuple[str, bool]:
        """The suffix that says the format, and whether the file is compressed."""
        name = self.path.name.lower()
        if not self.path.suffix:
            name = suffix_of(self._file)
        bare = name.removesuffix(".gz")
        return f".{bare.rpartition('.')[2]}", bare != name

    @property
    def _format(self) -> tuple[str, ...]:
        suffix, packed = self._suffixes
        formats = (SEPARATED, JSON) if packed else (SEPARATED, JSON, PARQUET)
        return next((known for known in formats if suffix in known), ())

    @property
    def _may_be_array(self) -> bool:
        return self._suffixes[0] == JSON[-1]

    @contextmanager
    def _worded(self) -> Iterator[None]:
        """Check what can be known before, and word what goes wrong with the file as a whole."""
        name = self.title or self.path
        if not self.path.exists() or self.path.is_dir():
            found = "is a folder" if self.path.is_dir() else "does not exist"
            raise UserError(f"The table {name} {found}. Give a file of a table.")
        if not self._format:
            raise UserError(
                f"{name} is of no known format. Expected a name that ends in "
                f"{', '.join((*FILE_SUFFIXES, SEPARATED[-1]))}, with .gz after it if a text is "
                "compressed; save the table as one of these."
            )
        check_encoding(self.encoding)
        try:
            yield
        except (OSError, EOFError, ValueError, NotImplementedError, zlib.error) as error:
            raise UserError(
                f"{name} cannot be read as a table: {error}. Replace it by a whole copy in the "
                "format that its name says."
            ) from error

    def _columns(self, enough: Sequence[str] | None = None) -> dict[str, str]:
        """Map columns to their names in the file, or so many that all in ``enough`` are found."""
        with self._worded():
            written = self._written_names(enough)
        if any(UNDECODABLE in name for name in written):
            raise UserError(
                f"The column names of {self.title or self.path} are not valid {self.encoding}. "
                "Give the encoding of the file, such as data.encoding=cp1252"
            )
        named = [
            normal(name) or f"unnamed_{position}" for position, name in enumerate(written, start=1)
        ]
        if repeated := sorted({name for name in named if named.count(name) > 1}):
            raise UserError(
                f"{self.title or self.path} has several columns called {', '.join(repeated)}. "
                "Rename all but one, or give data.header=false if its first line is a row."
            )
        return dict(zip(named, written, strict=True))

    def _written_names(self, enough: Sequence[str] | None) -> list[str]:
        if self._format == PARQUET:
            return list(pyarrow("parquet").read_schema(self._file).names)
        with self._open() as stream:
            if self._format == JSON:
                return json_names(stream, enough, array=self._may_be_array)
        if isinstance(self.header, Sequence):
            return list(self.header)
        with self._csv() as stream:
            names = self._parsed(
                stream, skip=lambda _: "skip", autogenerate_column_names=not self.header
            ).schema.names
        return names if self.header else [f"column_{n}" for n in range(1, len(names) + 1)]

    def _open(self) -> IO[bytes]:
        """Open as UTF-8; bytes that are not valid in the file's encoding pass through."""
        opened: Callable[..., Any] = gzip.open if self._suffixes[1] else open
        return as_utf8(opened(self._file, "rb"), self.encoding)

    @contextmanager
    def _csv(self) -> Iterator[IO[bytes]]:
        """Open a CSV file after the line by which a spreadsheet states the separator."""
        with self._without_comments() as stream:
            if STATED.match(stream.peek(STATED_BYTES)):  # type: ignore[attr-defined]
                stream.readline()
            yield stream

    @contextmanager
    def _without_comments(self) -> Iterator[IO[bytes]]:
        with self._open() as stream:
            yield without_comments(stream, self.comment) if self.comment else stream

    @cached_property
    def _delimiter(self) -> str:
        given = {"\\t": "\t"}.get(self.separator or "", self.separator)
        if given and (len(given) > 1 or not given.isascii()):
            raise UserError(
                f"data.separator={given!r} is not a separator. Expected one ASCII character, or "
                r"'\t' for a tab."
            )
        return given or self._likely_separator()

    def _likely_separator(self) -> str:
        with self._without_comments() as stream:
            first = stream.readline(BLOCK_BYTES)
        if b"\0" in first:
            raise ValueError(
                "it contains zero bytes, so it is not text; UTF-16 needs data.encoding=utf-16-le"
            )
        if stated := STATED.match(first):
            return stated[1].decode()
        return max(SEPARATORS, key=lambda separator: first.count(separator.encode()))

    def _parsed(
        self, stream: IO[bytes], *, skip: Callable[[Any], str], types: Any = None, **reading: Any
    ) -> Any:
        """Begin to parse a CSV file."""
        csv = pyarrow("csv")
        parsing = csv.ParseOptions(
            delimiter=self._delimiter, newlines_in_values=True, invalid_row_handler=skip
        )
        conversion = csv.ConvertOptions(
            include_columns=list(types or ()),
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        return csv.open_csv(
            decodable(stream),
            # Rows are numbered only if one thread parses.
            read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, **reading),
            parse_options=parsing,
            convert_options=conversion,
        )

    def _csv_chunks(self, wanted: Sequence[str], names: Mapping[str, str]) -> Iterator[_Raw]:
        pa = pyarrow()
        broken: list[Fault] = []
        last_text = ""

        def skip(row: Any) -> str:
            nonlocal last_text
            last_text = row.text
            broken.append((row.number, _wrong_cells(row)))
            return "skip"

        # A row of too many cells, which is skipped unless a quote before it is open.
        end = len(names) * self._delimiter
        header = 1 if self.header is True else 0
        number = 1 + header
        reading = {"column_names": list(names), "skip_rows_after_names": header}
        # Decoded by pyarrow, one faulty cell would make the whole file unreadable.
        types = dict.fromkeys(wanted, pa.binary())
        with self._csv() as stream:
            closed = ended(stream, end.encode())
            for batch in self._parsed(closed, skip=skip, types=types, **reading):
                skipped = {row for row, _ in broken}
                numbers = _numbers(number, batch.num_rows, skipped)
                yield _Raw(batch, numbers)
                number = numbers[-1] + 1 if numbers else number
        if last_text != end:
            raise self._open_quote(max(number - 1, broken[-1][0] if broken else 0))
        broken.pop()
        if broken:
            none = {name: pa.array([], pa.string()) for name in wanted}
            yield _Raw(pa.RecordBatch.from_pydict(none), (), broken)

    def _json_chunks(self, wanted: Sequence[str], names: Mapping[str, str]) -> Iterator[_Raw]:
        pa = pyarrow()
        with self._open() as stream:
            for block in json_blocks(stream, array=self._may_be_array):
                cells = {
                    name: [json_cell(row.get(names[name])) for row in block.rows] for name in wanted
                }
                columns = {name: pa.array(column, pa.string()) for name, column in cells.items()}
                batch = pa.RecordBatch.from_pydict(columns)
                known = {
                    name
                    for name, column in cells.items()
                    if all(isinstance(cell, JsonNumber | None) for cell in column)
                }
                yield _Raw(batch, block.numbers, block.faults, known)

    def _parquet_chunks(self, wanted: Sequence[str], names: Mapping[str, str]) -> Iterator[_Raw]:
        pa, number = pyarrow(), 1
        written = [names[name] for name in wanted]
        with pyarrow("parquet").ParquetFile(self._file) as file:
            for batch in file.iter_batches(ROWS_PER_CHUNK, columns=written):
                columns = {name: as_strings(batch.column(names[name])) for name in wanted}
                numbers = range(number, number + batch.num_rows)
                known = {name for name in wanted if is_number(batch.column(names[name]))}
                yield _Raw(pa.RecordBatch.from_pydict(columns), numbers, (), known)
                number += batch.num_rows

    def _undecodable(self, column: str) -> str:
        if self._format == PARQUET:
            return f"{column} is not valid utf-8; leave out columns that are not text"
        return (
            f"{column} is not valid {self.encoding}; give the encoding of the file, such as "
            "data.encoding=cp1252"
        )

    def _open_quote(self, row: int) -> UserError:
        return UserError(
            f"{self.title or self.path}: a quote in row {row} is never closed, so that it swallows "
            "all that follows. Close it; quotes that belong to a text are written twice, and the "
            "whole cell in quotes."
        )

    def _decoded(self, raw: _Raw, beside: AbstractSet[str]) -> Chunk:
        """Turn bytes to strings, and reject the rows that are not valid."""
        pa = pyarrow()
        batch, faults = raw.batch, dict(undecodable(raw.batch, beside))
        if faults:
            batch = batch.filter(pa.array([row not in faults for row in range(batch.num_rows)]))
        columns = zip(batch.schema.names, batch.columns, strict=True)
        undecoded = [
            (raw.numbers[row], self._undecodable(column)) for row, column in faults.items()
        ]
        name = self.title or self.path.name
        return Chunk(
            columns={name: decoded(cells) for name, cells in columns},
            sources=[f"{name} row {n}" for row, n in enumerate(raw.numbers) if row not in faults],
            rejected=[
                RejectedItem(source=f"{name} row {number}", reason=reason)
                for number, reason in (*raw.faults, *undecoded)
            ],
            numbers=raw.number_columns,
        )


def _wrong_cells(row: Any) -> str:
    cells = f"{row.actual_columns} cells instead of {row.expected_columns}"
    if ends := row.text.rstrip("\n").count("\n"):
        return f"{cells} over {ends + 1} lines; look for a quote that is not closed"
    return cells


def _numbers(start: int, count: int, skipped: AbstractSet[int]) -> list[int]:
    """Number rows from one on, past those that were skipped."""
    later = (number for number in itertools.count(start) if number not in skipped)
    return list(itertools.islice(later, count))

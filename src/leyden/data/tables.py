"""Reading table files of any size: CSV, TSV, JSON lines and Parquet, chunk by chunk.

Every format gives strings, so that whoever infers a column's type can judge the whole column and
not only its first rows.
"""

import gzip
import io
import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from leyden.data.arrow import as_strings, pyarrow, undecodable
from leyden.data.csv_end import Ended
from leyden.data.encodings import as_utf8, check_encoding
from leyden.data.json_lines import json_blocks, json_cell, json_names
from leyden.data.rows import RejectedItem
from leyden.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

SEPARATED = (".csv", ".tsv", ".tab")
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
FILE_SUFFIXES = (*SEPARATED, *JSON_LINES, *PARQUET)

SEPARATORS = ",;\t|"
"""Those that are told by the first line."""

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
    """

    columns: "Mapping[str, pa.StringArray]"
    sources: Sequence[str]
    rejected: Sequence[RejectedItem] = ()


@dataclass(frozen=True, kw_only=True)
class TableFile:
    """A table on disk: the ending of its name tells the format, and ``.gz`` that it is packed.

    Attributes:
        path: the file.
        encoding: of text without a byte order mark.
        separator: between the cells of CSV; ``None`` takes the one that the first line holds most.
        header: names of the columns, where the first line of a CSV file does not hold them.
    """

    path: Path
    encoding: str = "utf-8"
    separator: str | None = None
    header: Sequence[str] | None = None

    def column_names(self) -> list[str]:
        """List the columns in their order.

        Raises:
            UserError: the file is missing, damaged, of no known format, or has two columns of one
                name.
        """
        return self._unique_names()

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[Chunk]:
        """Read some columns, or all, in chunks of bounded size.

        A row is rejected if it has cells too many or too few, is no JSON object, or is not valid
        in the encoding.

        Raises:
            UserError: as for ``column_names``, or there is no such column.
        """
        names = self._unique_names(columns)
        wanted = list(dict.fromkeys(names if columns is None else columns))
        if absent := [column for column in wanted if column not in names]:
            raise UserError(
                f"{self.path} has no column {absent[0]!r}.{did_you_mean(absent[0], names)}"
            )
        read = {SEPARATED: self._csv_chunks, JSON_LINES: self._json_chunks}
        with self._worded():
            yield from read.get(self._format, self._parquet_chunks)(wanted)

    @property
    def _format(self) -> tuple[str, ...]:
        packed = self.path.suffix.lower() == ".gz"
        suffix = Path(self.path.stem if packed else self.path.name).suffix.lower()
        formats = (SEPARATED, JSON_LINES) if packed else (SEPARATED, JSON_LINES, PARQUET)
        return next((known for known in formats if suffix in known), ())

    @contextmanager
    def _worded(self) -> Iterator[None]:
        """Check what can be known before, and word what goes wrong with the file as a whole."""
        if not self.path.is_file():
            found = "is a folder" if self.path.is_dir() else "does not exist"
            raise UserError(f"The table {self.path} {found}. Give a file of a table.")
        if not self._format:
            raise UserError(
                f"{self.path} is of no known format. Expected a name that ends in "
                f"{', '.join(FILE_SUFFIXES)}, with .gz behind it where a text is packed; save "
                "the table as one of these."
            )
        check_encoding(self.encoding)
        try:
            yield
        except (OSError, EOFError, ValueError, NotImplementedError, zlib.error) as error:
            raise UserError(
                f"{self.path} can't be read as a table: {error}. Replace it by a whole copy in the "
                "format that its name tells."
            ) from error

    def _unique_names(self, enough: Sequence[str] | None = None) -> list[str]:
        """List the columns, or so many that all which are enough are among them."""
        with self._worded():
            names = self._names(enough)
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise UserError(
                f"{self.path} has several columns called {', '.join(repeated)}. Rename all but one."
            )
        return names

    def _names(self, enough: Sequence[str] | None) -> list[str]:
        if self._format == PARQUET:
            return list(pyarrow("parquet").read_schema(self.path).names)
        with self._open() as stream:
            if self._format == SEPARATED:
                return list(self._parsed(stream, skip=lambda _: "skip").schema.names)
            return json_names(stream, enough)

    def _open(self) -> IO[bytes]:
        """Open as UTF-8; bytes that are not valid in the file's encoding pass through."""
        opened: Callable[..., Any] = gzip.open if self.path.suffix.lower() == ".gz" else open
        return as_utf8(opened(self.path, "rb"), self.encoding)

    def _parsed(self, stream: IO[bytes], *, skip: Callable[[Any], str], **conversion: Any) -> Any:
        """Begin to parse a CSV file."""
        csv = pyarrow("csv")
        parsing = csv.ParseOptions(
            delimiter=self.separator or self._likely_separator(),
            newlines_in_values=True,
            invalid_row_handler=skip,
        )
        # Rows are numbered only where one thread parses.
        reading = csv.ReadOptions(
            use_threads=False, block_size=BLOCK_BYTES, column_names=self.header
        )
        return csv.open_csv(
            stream,
            read_options=reading,
            parse_options=parsing,
            convert_options=csv.ConvertOptions(**conversion),
        )

    def _likely_separator(self) -> str:
        with self._open() as stream:
            first = stream.readline(BLOCK_BYTES)
        if b"\0" in first:
            raise ValueError("it holds zero bytes, so it is no text")
        return max(SEPARATORS, key=lambda separator: first.count(separator.encode()))

    def _csv_chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        pa = pyarrow()
        broken: list[Fault] = []
        last_text = ""

        def skip(row: Any) -> str:
            nonlocal last_text
            last_text = row.text
            broken.append((row.number, _wrong_cells(row)))
            return "skip"

        # A row of too many cells, which is skipped unless a quote before it is open.
        end = len(self.column_names()) * (self.separator or self._likely_separator())

        # Decoded by pyarrow, one faulty cell would make the whole file unreadable.
        conversion = {
            "include_columns": list(wanted),
            "column_types": dict.fromkeys(wanted, pa.binary()),
            "null_values": [""],
            "strings_can_be_null": True,
            "quoted_strings_can_be_null": False,
        }
        number = 1 if self.header else 2
        with self._open() as stream:
            ended = io.BufferedReader(Ended(stream, end.encode()))
            for batch in self._parsed(ended, skip=skip, **conversion):
                skipped = {row for row, _ in broken}
                numbers = _numbers(number, batch.num_rows, skipped)
                yield self._decoded(batch, numbers)
                number = numbers[-1] + 1 if numbers else number
        if last_text != end:
            raise self._open_quote(max(number - 1, broken[-1][0] if broken else 0))
        broken.pop()
        if broken:
            none = dict.fromkeys(wanted, pa.array([], pa.string()))
            yield self._chunk(none, (), broken)

    def _json_chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        pa = pyarrow()
        with self._open() as stream:
            for block in json_blocks(stream):
                columns = {
                    name: pa.array([json_cell(row.get(name)) for row in block.rows], pa.string())
                    for name in wanted
                }
                yield self._chunk(columns, block.numbers, block.faults)

    def _parquet_chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        pa, number = pyarrow(), 1
        with pyarrow("parquet").ParquetFile(self.path) as file:
            for batch in file.iter_batches(ROWS_PER_CHUNK, columns=list(wanted)):
                columns = {name: as_strings(batch.column(name)) for name in wanted}
                numbers = range(number, number + batch.num_rows)
                yield self._decoded(pa.RecordBatch.from_pydict(columns), numbers)
                number += batch.num_rows

    def _open_quote(self, row: int) -> UserError:
        return UserError(
            f"{self.path}: a quote in row {row} is never closed, so that it swallows whatever "
            "stands behind it. Close it; quotes that belong to a text are written twice, and the "
            "whole cell in quotes."
        )

    def _decoded(self, batch: "pa.RecordBatch", numbers: Sequence[int]) -> Chunk:
        """Turn bytes to strings, and reject the rows that are not valid."""
        pa = pyarrow()
        faults = dict(undecodable(batch))
        if faults:
            batch = batch.filter(pa.array([row not in faults for row in range(batch.num_rows)]))
        columns = zip(batch.schema.names, batch.columns, strict=True)
        return self._chunk(
            {name: cells.cast(pa.string()) for name, cells in columns},
            [number for row, number in enumerate(numbers) if row not in faults],
            [
                (numbers[row], f"{column} is not valid {self.encoding}; see data.encoding")
                for row, column in faults.items()
            ],
        )

    def _chunk(
        self,
        columns: "Mapping[str, pa.StringArray]",
        numbers: Iterable[int],
        faults: Iterable[Fault] = (),
    ) -> Chunk:
        name = self.path.name
        return Chunk(
            columns=columns,
            sources=[f"{name} row {number}" for number in numbers],
            rejected=[
                RejectedItem(source=f"{name} row {number}", reason=reason)
                for number, reason in faults
            ],
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

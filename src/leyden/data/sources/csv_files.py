"""CSV tables; rows are numbered as in the file, including those that cannot be parsed."""

import atexit
import itertools
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import IO, Any
from weakref import WeakSet

from leyden.data.sources.arrow import Fault, RawRows, pyarrow, string_array
from leyden.data.sources.encodings import join_pieces, read_pieces
from leyden.errors import UserError

SEPARATORS = ",;\t|"
"""Separators that are detected in the first line."""

STATED = re.compile(rb'"?sep=([!-~ \t])"?[ \t]*\r?\n', re.IGNORECASE)
"""First line in which spreadsheets declare the separator."""

BLOCK_BYTES = 1 << 24
"""Number of bytes that are parsed at once by default."""

LONGEST_READ = 2.0
"""Seconds that the exit of the process waits for a read that has begun."""

_streams: WeakSet[IO[bytes]] = WeakSet()
"""Streams that threads of pyarrow may be reading."""


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """Format of CSV files.

    Attributes:
        separator: Separator of the cells; ``None`` for the most frequent one in the first line.
        header: Whether the first line holds the names of the columns; or the names.
        comment: Beginning of comment lines.
        block_bytes: Number of bytes that are parsed at once; no row may be longer.
    """

    separator: str | None
    header: bool | Sequence[str]
    comment: str | None
    block_bytes: int = BLOCK_BYTES

    def names(self, stream: IO[bytes], _enough: Sequence[str] | None = None) -> list[str]:
        """Read the names of all columns from the first line, or number them if it is a row.

        Raises:
            UserError: If the separator is not one ASCII character.
            ValueError: If the file is not text.
        """
        if isinstance(self.header, Sequence):
            return list(self.header)
        separator, pieces = self._begin(stream)
        names = _parse(
            pieces,
            separator,
            skip=lambda _: "skip",
            autogenerate_column_names=not self.header,
            block_size=self.block_bytes,
        ).schema.names
        return names if self.header else [f"column_{n}" for n in range(1, len(names) + 1)]

    def rows(
        self, stream: IO[bytes], wanted: Sequence[str], names: Mapping[str, str]
    ) -> Iterator[RawRows]:
        """Yield the cells of some columns, chunk by chunk.

        Args:
            stream: Content of the file in UTF-8.
            wanted: Names of the columns to parse.
            names: Names of all columns, in their order.

        Raises:
            UserError: If the separator is not one ASCII character.
            ValueError: If a quote is never closed, or the file is not text.
        """
        faults: list[Fault] = []
        last_text = ""

        def skip(row: Any) -> str:
            nonlocal last_text
            last_text = row.text
            faults.append((row.number, _wrong_cells(row)))
            return "skip"

        separator, pieces = self._begin(stream)
        # A row of too many cells, which the parser skips unless a quote before it is open.
        end = len(names) * separator
        header = int(self.header is True)
        number = 1 + header
        for batch in _parse(
            _end_with(end.encode(), pieces),
            separator,
            skip=skip,
            types=dict.fromkeys(wanted, pyarrow().string()),
            column_names=list(names),
            skip_rows_after_names=header,
            block_size=self.block_bytes,
        ):
            numbers = _number_rows(number, batch.num_rows, {row for row, _ in faults})
            yield RawRows(dict(zip(wanted, batch.columns, strict=True)), numbers)
            number = numbers[-1] + 1 if numbers else number
        if last_text != end:
            row = max(number - 1, faults[-1][0] if faults else 0)
            raise ValueError(
                f"a quote in row {row} is never closed, so that its cell holds all that follows; "
                "close it, or write quotes that belong to a text twice and the whole cell in quotes"
            )
        if faults[:-1]:
            yield RawRows({name: string_array([]) for name in wanted}, (), faults[:-1])

    def _begin(self, stream: IO[bytes]) -> tuple[str, Iterator[bytes]]:
        """Return the separator and the content without comments and a line that declares it."""
        lines = _without_comments(stream, self.comment) if self.comment else None
        first = next(lines, b"") if lines else stream.readline(self.block_bytes)
        if b"\0" in first:
            raise ValueError(
                "it contains zero bytes, so it is not text; UTF-16 needs data.encoding=utf-16-le"
            )
        stated = STATED.match(first)
        separator = {"\\t": "\t"}.get(self.separator or "", self.separator)
        if separator and (len(separator) > 1 or not separator.isascii()):
            raise UserError(
                f"data.separator={separator!r} is not a separator. Expected one ASCII character, "
                r"or '\t' for a tab."
            )
        separator = separator or (
            stated[1].decode()
            if stated
            else max(SEPARATORS, key=lambda mark: first.count(mark.encode()))
        )
        return separator, itertools.chain([b"" if stated else first], lines or read_pieces(stream))


def _parse(
    pieces: Iterator[bytes],
    separator: str,
    *,
    skip: Callable[[Any], str],
    types: Mapping[str, Any] | None = None,
    **reading: Any,
) -> Any:
    """Open a streaming reader of a CSV file, whose cells are strings."""
    csv = pyarrow("csv")
    stream = join_pieces(pieces)
    _streams.add(stream)
    return csv.open_csv(
        stream,
        # Rows are numbered only if one thread parses.
        read_options=csv.ReadOptions(use_threads=False, **reading),
        parse_options=csv.ParseOptions(
            delimiter=separator, newlines_in_values=True, invalid_row_handler=skip
        ),
        convert_options=csv.ConvertOptions(
            include_columns=list(types or ()),
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


@atexit.register
def _wait_for_streams() -> None:
    """Wait until pyarrow has left the streams of readers that were given up.

    It reads ahead in a thread, which would abort the process if it called Python during its exit.
    """
    end = time.monotonic() + LONGEST_READ
    while _streams and time.monotonic() < end:
        time.sleep(0.01)


def _without_comments(lines: Iterable[bytes], mark: str) -> Iterator[bytes]:
    """Yield the lines that do not begin with a mark, and those within quoted cells."""
    quoted = False
    for line in lines:
        if quoted or not line.startswith(mark.encode()):
            quoted ^= line.count(b'"') % 2 == 1
            yield line


def _end_with(line: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Append a line to the content of a file that is not empty.

    A quote that is never closed makes one cell of everything that follows, which the parser does
    not report; this line, which it must report, is then part of that cell.
    """
    last = b""
    for piece in pieces:
        last = piece or last
        yield piece
    if last:
        yield (b"" if last.endswith((b"\n", b"\r")) else b"\n") + line + b"\n"


def _wrong_cells(row: Any) -> str:
    cells = f"{row.actual_columns} cells instead of {row.expected_columns}"
    if ends := row.text.rstrip("\n").count("\n"):
        return f"{cells} over {ends + 1} lines; look for a quote that is not closed"
    return cells


def _number_rows(start: int, count: int, skipped: AbstractSet[int]) -> list[int]:
    """Return the next ``count`` row numbers from ``start`` that were not skipped."""
    later = (number for number in itertools.count(start) if number not in skipped)
    return list(itertools.islice(later, count))

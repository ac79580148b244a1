"""CSV tables, with the numbers of all rows, also of those that cannot be parsed."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import IO, Any

from leyden.data.sources.arrow import Fault, RawRows, pyarrow, string_array
from leyden.data.sources.encodings import joined, pieces_of
from leyden.errors import UserError

SEPARATORS = ",;\t|"
"""Separators that are recognised in the first line."""

STATED = re.compile(rb'"?sep=([!-~ \t])"?[ \t]*\r?\n', re.IGNORECASE)
"""First line by which spreadsheets state the separator."""

BLOCK_BYTES = 1 << 24
"""Bytes that are parsed at once; no row may be longer."""


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """How a CSV file is written; the attributes are those of ``TableFile``."""

    separator: str | None
    header: bool | Sequence[str]
    comment: str | None

    def names(
        self,
        stream: IO[bytes],
        enough: Sequence[str] | None = None,  # noqa: ARG002  # a header holds all
    ) -> list[str]:
        """Read the names of the columns off the beginning of a file, as they are written."""
        if isinstance(self.header, Sequence):
            return list(self.header)
        separator, pieces = self._begin(stream)
        names = _parse(
            pieces, separator, skip=lambda _: "skip", autogenerate_column_names=not self.header
        ).schema.names
        return names if self.header else [f"column_{n}" for n in range(1, len(names) + 1)]

    def rows(
        self, stream: IO[bytes], wanted: Sequence[str], names: Mapping[str, str]
    ) -> Iterator[RawRows]:
        """Parse some columns of a file.

        Args:
            stream: The file in UTF-8.
            wanted: The columns to parse.
            names: All columns.

        Raises:
            ValueError: If a quote is never closed.
        """
        faults: list[Fault] = []
        last_text = ""

        def skip(row: Any) -> str:
            nonlocal last_text
            last_text = row.text
            faults.append((row.number, _wrong_cells(row)))
            return "skip"

        separator, pieces = self._begin(stream)
        # A row of too many cells, which is skipped unless a quote before it is open.
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
        ):
            numbers = _numbers(number, batch.num_rows, {row for row, _ in faults})
            yield RawRows(dict(zip(wanted, batch.columns, strict=True)), numbers)
            number = numbers[-1] + 1 if numbers else number
        if last_text != end:
            row = max(number - 1, faults[-1][0] if faults else 0)
            raise ValueError(
                f"a quote in row {row} is never closed, so that it swallows all that follows; "
                "close it, or write quotes that belong to a text twice and the whole cell in quotes"
            )
        if faults[:-1]:
            yield RawRows({name: string_array([]) for name in wanted}, (), faults[:-1])

    def _begin(self, stream: IO[bytes]) -> tuple[str, Iterator[bytes]]:
        """Return the separator, and the file after a line that only states it."""
        lines = _without_comments(stream, self.comment) if self.comment else None
        first = next(lines, b"") if lines else stream.readline(BLOCK_BYTES)
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
        return separator, itertools.chain([b"" if stated else first], lines or pieces_of(stream))


def _parse(
    pieces: Iterator[bytes],
    separator: str,
    *,
    skip: Callable[[Any], str],
    types: Mapping[str, Any] | None = None,
    **reading: Any,
) -> Any:
    """Begin to parse a CSV file."""
    csv = pyarrow("csv")
    return csv.open_csv(
        joined(pieces),
        # Rows are numbered only if one thread parses.
        read_options=csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, **reading),
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


def _without_comments(lines: Iterable[bytes], mark: str) -> Iterator[bytes]:
    """Leave out the lines that begin with a mark, unless a quoted cell contains them."""
    quoted = False
    for line in lines:
        if quoted or not line.startswith(mark.encode()):
            quoted ^= line.count(b'"') % 2 == 1
            yield line


def _end_with(line: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Add one more line, without its end, after the last one of a file that is not empty.

    A quote that is never closed makes one cell of all that follows, of this line too, and a parser
    does not report that.
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


def _numbers(start: int, count: int, skipped: AbstractSet[int]) -> list[int]:
    """Number rows from one on, past those that were skipped."""
    later = (number for number in itertools.count(start) if number not in skipped)
    return list(itertools.islice(later, count))

"""Parts of inputs to predict on, each of which one process reads at once, and their findings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from leyden.data.rows import RejectedItem
from leyden.data.sources.arrow import pyarrow
from leyden.data.sources.csv_files import BLOCK_BYTES
from leyden.data.sources.tables import Chunk, TableFile

if TYPE_CHECKING:
    import pyarrow as pa

FILES_PER_PART = 256
"""Number of files whose rows are in memory together."""

Keep = Sequence[str] | Literal["all"]
"""Columns of tables that are kept beside the predictions."""


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """Files that hold one row each.

    Attributes:
        files: Paths of the files.
        content: Content of the only file if it is a pipe, which one process alone can read.
    """

    files: Sequence[Path]
    content: bytes | None = None


@dataclass(frozen=True, kw_only=True)
class TablePart:
    """Consecutive rows of a table.

    Attributes:
        cells: Strings by column, in the format of Arrow's streams.
        names: Display name of each row.
        rejected: Rows of the table that cannot be read.
        numbers: Names of the columns that the format of the file types as numbers.
        keep: Names of the columns to keep beside the predictions.
    """

    cells: bytes
    names: Sequence[str]
    rejected: Sequence[RejectedItem]
    numbers: frozenset[str]
    keep: Sequence[str]

    def chunk(self) -> Chunk:
        """Return the rows as the table yields them."""
        with pyarrow("ipc").open_stream(self.cells) as stream:
            batch = stream.read_next_batch()
        return Chunk(
            columns=dict(zip(batch.schema.names, batch.columns, strict=True)),
            sources=self.names,
            rejected=self.rejected,
            numbers=self.numbers,
        )

    def kept(self, chunk: Chunk) -> dict[str, list[str | None]]:
        """Return the cells to keep beside the predictions of a chunk."""
        return {name: chunk.columns[name].to_pylist() for name in self.keep}


Part = FilePart | TablePart


@dataclass(frozen=True, kw_only=True)
class CellCounts:
    """Counts of the cells of a column in rows to predict on.

    Attributes:
        known: Number of cells that the network knows.
        unknown: Number of other cells that are not missing.
        example: The first unknown cell.
        beyond: Number of implausible values.
        extreme: The first implausible value.
    """

    known: int = 0
    unknown: int = 0
    example: str = ""
    beyond: int = 0
    extreme: float | None = None

    def __add__(self, later: "CellCounts") -> "CellCounts":
        """Return the counts of these rows and later ones."""
        return CellCounts(
            known=self.known + later.known,
            unknown=self.unknown + later.unknown,
            example=self.example or later.example,
            beyond=self.beyond + later.beyond,
            extreme=later.extreme if self.extreme is None else self.extreme,
        )


Counts = Mapping[str, CellCounts]
"""Counts by name of the column; empty if the inputs are not tables."""


def file_parts(files: Iterable[Path]) -> Iterator[FilePart]:
    """Yield files in parts of ``FILES_PER_PART``; a pipe is a part of its own."""
    for are_pipes, group in groupby(files, key=_is_pipe):
        if are_pipes:
            for pipe in group:
                yield FilePart(files=[pipe], content=pipe.read_bytes())
        else:
            while some := list(islice(group, FILES_PER_PART)):
                yield FilePart(files=some)


def table_parts(
    table: TableFile,
    columns: Sequence[str],
    *,
    keep: Sequence[str],
    size: int,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[TablePart]:
    """Yield the rows of a table in parts.

    Args:
        table: The table.
        columns: Names of the columns that the network reads.
        keep: Names of the columns to keep beside the predictions.
        size: Largest number of rows in a part.
        block_bytes: Number of bytes of text that are parsed at once; no row may be longer.

    Raises:
        UserError: If the table cannot be read, or lacks a column.
    """
    for chunk in table.chunks(columns, beside=keep, block_bytes=block_bytes):
        cells = pyarrow().record_batch(dict(chunk.columns))
        for start in range(0, max(len(chunk.sources), 1), size):
            yield TablePart(
                cells=_as_stream(cells.slice(start, size)),
                names=chunk.sources[start : start + size],
                rejected=() if start else chunk.rejected,
                numbers=frozenset(chunk.numbers),
                keep=keep,
            )


def _is_pipe(path: Path) -> bool:
    return not path.is_file() and path.exists()


def _as_stream(batch: "pa.RecordBatch") -> bytes:
    """Return a batch in the format of Arrow's streams, without the rows around a slice."""
    sink = pyarrow().BufferOutputStream()
    with pyarrow("ipc").new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content

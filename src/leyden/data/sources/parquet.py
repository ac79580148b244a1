"""Parquet files, whose cells are converted to strings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from leyden.data.sources.arrow import RawRows, json_cell, pyarrow, string_array
from leyden.data.sources.encodings import MARKING

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_BLOCK = 1 << 14


class ParquetFormat:
    """Format of Parquet files."""

    def names(self, stream: IO[bytes], _enough: Sequence[str] | None = None) -> list[str]:
        """Read the names of all columns from the schema."""
        return list(pyarrow("parquet").read_schema(stream).names)

    def rows(
        self, stream: IO[bytes], wanted: Sequence[str], names: Mapping[str, str]
    ) -> Iterator[RawRows]:
        """Yield the cells of some columns, chunk by chunk.

        Args:
            stream: Content of the file.
            wanted: Names of the columns to read.
            names: Name in the file by name of the column.
        """
        start = 1
        file = pyarrow("parquet").ParquetFile(stream)
        for batch in file.iter_batches(ROWS_PER_BLOCK, columns=[names[name] for name in wanted]):
            cells = {name: batch.column(names[name]) for name in wanted}
            columns = {name: _as_strings(column) for name, column in cells.items()}
            numbers = {name for name, column in cells.items() if _is_number(column)}
            yield RawRows(columns, range(start, start + batch.num_rows), (), numbers)
            start += batch.num_rows


def _is_number(cells: Any) -> bool:
    types = pyarrow("types")
    tests = (types.is_integer, types.is_floating, types.is_decimal)
    return any(test(cells.type) for test in tests)


def _as_strings(cells: Any) -> "pa.StringArray":
    """Convert a column to strings: nested values to JSON, and bytes by decoding them as UTF-8."""
    pa = pyarrow()
    if "binary" in str(cells.type):
        cells = cells.cast(pa.binary())
    try:
        return cells.cast(pa.string())
    except NotImplementedError:
        return string_array(map(json_cell, cells.to_pylist()))
    except ValueError:
        return string_array(
            None if cell is None else cell.decode(errors=MARKING) for cell in cells.to_pylist()
        )

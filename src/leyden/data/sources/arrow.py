"""Columns of strings in pyarrow, which is an optional dependency."""

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from leyden.data.sources.encodings import UNDECODABLE
from leyden.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Mapping[str, "pa.StringArray"]
"""Cells ``(rows,)`` by name of the column; null if a cell is missing."""

Fault = tuple[int, str]
"""Number of a row that cannot be read, and the reason."""


class RawRows(NamedTuple):
    """Rows of a table as a parser yields them.

    Attributes:
        columns: Cells by column; ``UNDECODABLE`` replaces bytes that are not valid in the encoding.
        row_numbers: Number ``(rows,)`` of each row in the file.
        faults: Rows that cannot be parsed, and so have no cells.
        number_columns: Names of the columns whose cells the format itself types as numbers.
    """

    columns: Columns
    row_numbers: Sequence[int]
    faults: Sequence[Fault] = ()
    number_columns: AbstractSet[str] = frozenset()


def pyarrow(module: str | None = None) -> Any:
    """Import pyarrow, or one of its modules.

    Args:
        module: Name of the module within pyarrow, such as ``csv``.

    Raises:
        UserError: If pyarrow is not installed.
    """
    try:
        return import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ModuleNotFoundError as error:
        raise UserError(
            "Table files need the package pyarrow, which is not installed. Install it with "
            "pip install 'leyden[table]'."
        ) from error


def string_array(cells: Iterable[str | None]) -> "pa.StringArray":
    """Build a column of strings ``(rows,)``; ``None`` becomes null."""
    return pyarrow().array(list(cells), "string")


def json_cell(value: Any) -> str | None:
    """Convert a value of JSON to a cell: other values than strings and ``None`` to their JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)


def find_undecodable(columns: Columns) -> dict[int, str]:
    """Return a column by index of each row that has a cell with ``UNDECODABLE`` in it."""
    compute = pyarrow("compute")
    return {
        row: name
        for name, cells in columns.items()
        for row in compute.indices_nonzero(compute.match_substring(cells, UNDECODABLE)).to_pylist()
    }

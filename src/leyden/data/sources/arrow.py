"""Columns of strings in pyarrow, which is an extra."""

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
"""Cells ``(rows,)`` by column; null if a cell is missing."""

Fault = tuple[int, str]
"""Number of a row that cannot be read, and why."""


class RawRows(NamedTuple):
    """Rows as a parser yields them.

    Attributes:
        columns: The cells; ``UNDECODABLE`` replaces bytes that are not valid in the encoding.
        numbers: Number of each row.
        faults: Rows that cannot be parsed.
        number_columns: Columns of numbers that the format itself knows as such.
    """

    columns: Columns
    numbers: Sequence[int]
    faults: Sequence[Fault] = ()
    number_columns: AbstractSet[str] = frozenset()


def pyarrow(module: str | None = None) -> Any:
    """Import pyarrow, or a module of it.

    Raises:
        UserError: If it is not installed.
    """
    try:
        return import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ModuleNotFoundError as error:
        raise UserError(
            "Table files need the package pyarrow, which is not installed. Install it with "
            "pip install 'leyden[table]'."
        ) from error


def string_array(cells: Iterable[str | None]) -> "pa.StringArray":
    """Build a column of strings."""
    return pyarrow().array(list(cells), "string")


def json_cell(value: Any) -> str | None:
    """Return a value of JSON as a cell: a nested value as JSON, ``None`` if it is missing."""
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)


def undecodable(columns: Columns) -> dict[int, str]:
    """Find the rows with a cell that is not valid in its encoding, and the column of each."""
    compute = pyarrow("compute")
    return {
        row: name
        for name, cells in columns.items()
        for row in compute.indices_nonzero(compute.match_substring(cells, UNDECODABLE)).to_pylist()
    }

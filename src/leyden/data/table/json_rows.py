"""Rows of tables as clients write them in JSON."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from leyden.data.json_values import value_of, wrong_type
from leyden.data.rows import UnreadableError
from leyden.data.table.cells import EXACT, YEAR_2000, CellFormat, parse_dates
from leyden.data.table.columns import LARGEST, Column
from leyden.data.table.encoding import MISSING
from leyden.data.values import normal

MOST_EXAMPLES = 100
"""Largest number of known values of a column that its schema lists."""


def column_schema(column: Column, known: Sequence[str]) -> dict[str, Any]:
    """Return the JSON Schema of a value of a column.

    Args:
        column: A fitted column.
        known: Values of a categorical column in the training rows.
    """
    if column.kind == "numeric":
        return {"type": ["number", "null"], "description": "number; null if it is missing"}
    if column.kind == "boolean":
        return {"type": ["boolean", "null"], "description": "truth value; null if it is missing"}
    if column.kind == "date":
        form = f"in the format {column.form}" if column.form else "in ISO 8601, in UTC by default"
        return {"type": ["string", "null"], "description": f"date {form}; null if it is missing"}
    return {
        "type": ["string", "number", "boolean", "null"],
        "description": "category; null if it is missing. Values that are not in the training "
        "rows count as unknown",
        "examples": [value for value in known if value != MISSING][:MOST_EXAMPLES],
    }


def cells_of(row: Any, columns: Sequence[Column], written: CellFormat) -> list[str | None]:
    """Return the cells ``(columns,)`` of a JSON row as a file would hold them.

    Numbers of numeric columns are spelled as in Python, and those of categorical ones as in
    ``written``.

    Raises:
        UnreadableError: If the row is not an object, lacks a column, or has a value of another type
            in it.
    """
    return [
        None
        if (value := value_of(row, column.name)) is None
        else CELLS[column.kind](value, column, written)
        for column in columns
    ]


def _number(value: Any, column: Column, _: CellFormat) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type("a number", value, column.name)
    if not abs(value) <= float(LARGEST):  # NumPy cannot compare huge integers
        raise UnreadableError(f"{column.name}: expected a number of at most {LARGEST:.7g}")
    return json.dumps(value)


def _truth(value: Any, column: Column, _: CellFormat) -> str:
    if not isinstance(value, bool):
        raise wrong_type("true or false", value, column.name)
    return json.dumps(value)


def _date(value: Any, column: Column, written: CellFormat) -> str:
    import pyarrow as pa

    if not isinstance(value, str):
        raise wrong_type("a date as a string", value, column.name)
    text = normal(_text(value, column))
    if text in ("", *written.missing) or not np.isnan(
        parse_dates(pa.array([text], pa.string()), column.form)
    ):
        return text
    form = column.form or "such as 2020-01-31 or 2020-01-31T12:00"
    raise UnreadableError(f"{column.name}: expected a date {form}, got {text[:40]!r}")


def _category(value: Any, column: Column, written: CellFormat) -> str:
    if isinstance(value, str):
        return _text(value, column)
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return _number(value, column, written).replace(".", written.decimal)
    raise wrong_type("a string", value, column.name)


def _text(value: str, column: Column) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise UnreadableError(f"{column.name}: holds half of a surrogate pair") from error
    return value


CELLS: Mapping[str, Callable[[Any, Column, CellFormat], str]] = {
    "boolean": _truth,
    "categorical": _category,
    "date": _date,
    "numeric": _number,
}
"""Function that converts a JSON value to a cell, by kind of the column."""


def json_number(value: float, column: Column) -> float | int | bool | str | None:
    """Return the JSON value of a column of numbers, the inverse of ``cells_of`` and parsing.

    Example:
        >>> json_number(7336.5, Column(name="born", kind="date"))
        '2020-02-01T12:00:00+00:00'
    """
    if np.isnan(value):
        return None
    if column.kind == "boolean":
        return bool(value)
    if column.kind == "date":
        date = YEAR_2000 + timedelta(days=float(value))
        return date.isoformat() if column.form is None else date.strftime(column.form)
    return int(value) if value == int(value) and abs(value) < EXACT else float(value)

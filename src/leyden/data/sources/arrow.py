"""Columns of pyarrow, which is an extra, as strings."""

from collections.abc import Collection, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from leyden.data.sources.json_lines import json_cell
from leyden.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa


def pyarrow(module: str | None = None) -> Any:
    """Import the package, or a module of it.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(f"pyarrow.{module}" if module else "pyarrow")
    except ModuleNotFoundError as error:
        raise UserError(
            "Table files need the package pyarrow, which is not installed. Install it with "
            "pip install 'leyden[table]'."
        ) from error


def is_number(cells: Any) -> bool:
    """Whether a column of Parquet holds numbers."""
    types = pyarrow("types")
    return bool(types.is_integer(cells.type) or types.is_floating(cells.type)) or bool(
        types.is_decimal(cells.type)
    )


def as_strings(cells: Any) -> Any:
    """Turn a column of Parquet to strings, nested values to JSON; bytes stay what they are."""
    pa = pyarrow()
    if "binary" in str(cells.type):
        return cells.cast(pa.binary())
    try:
        return cells.cast(pa.string())
    except NotImplementedError:
        return pa.array([json_cell(value) for value in cells.to_pylist()], pa.string())


UNDECODABLE = "\ufdd0"
"""Represents bytes that could not be decoded: a noncharacter, which no text contains."""


def decoded(cells: Any) -> Any:
    """Turn bytes to strings; invalid UTF-8 of formats other than CSV is replaced."""
    pa = pyarrow()
    try:
        return cells.cast(pa.string())
    except ValueError:
        texts = [
            None if cell is None else cell.decode(errors="replace") for cell in cells.to_pylist()
        ]
        return pa.array(texts, pa.string())


def undecodable(batch: "pa.RecordBatch", beside: Collection[str] = ()) -> Iterator[tuple[int, str]]:
    """Find rows with a cell that is not UTF-8, and the name of its column.

    Args:
        batch: Columns of bytes or strings.
        beside: Columns that may hold anything.
    """
    for name, cells in zip(batch.schema.names, batch.columns, strict=True):
        if name not in beside and not _are_decodable(cells):
            for row, cell in enumerate(cells.to_pylist()):
                if cell is not None and not _is_decodable(cell):
                    yield row, name


def _are_decodable(cells: Any) -> bool:
    try:
        texts = cells.cast(pyarrow().string())
    except ValueError:
        return False
    compute = pyarrow("compute")
    return not compute.any(compute.match_substring(texts, UNDECODABLE)).as_py()


def _is_decodable(cell: str | bytes) -> bool:
    try:
        text = cell if isinstance(cell, str) else cell.decode()
    except UnicodeDecodeError:
        return False
    return UNDECODABLE not in text

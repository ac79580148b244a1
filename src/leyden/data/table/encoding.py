"""Cells of tables encoded as the arrays that are cached, and these as network inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.cells import Cells, Distinct
from leyden.data.table.columns import Column
from leyden.data.values import canonical, matcher
from leyden.errors import UserError

LARGEST = np.finfo(np.float32).max
"""What networks get is float32; a larger number is none."""

MISSING = ""
"""Stands for a missing cell among the values of a categorical column."""


@dataclass(kw_only=True)
class Misfits:
    """Cells of a column that are not of its kind."""

    cells: int = 0
    example: str = ""


class Encoder:
    """Turns chunks of a table into numbers and codes.

    A value's code is its place in ``values``, which grows as values come; a missing cell is 0.
    Equal values have one code.

    Args:
        columns: Columns to encode.
        spellings: For each categorical column, the word that represents a word for true or false.
    """

    def __init__(
        self, columns: Sequence[Column], spellings: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.number_columns = [column for column in columns if column.is_number]
        self.category_columns = [column for column in columns if column.kind == "categorical"]
        self.misfits = {column.name: Misfits() for column in self.number_columns}
        self._spellings = spellings or {}
        self._codes: dict[str, dict[str, int]] = {
            column.name: {MISSING: 0} for column in self.category_columns
        }

    @property
    def values(self) -> dict[str, list[str]]:
        """The values of each categorical column, in the order of their codes."""
        return {name: list(codes) for name, codes in self._codes.items()}

    def numbers(self, chunk: Cells, rows: int) -> NDArray[np.float64]:
        """Encode as ``(rows, columns)``; dates in days since 2000, NaN where there is no number."""
        columns = [self._number(column, chunk[column.name]) for column in self.number_columns]
        return _side_by_side(columns, rows, np.float64)

    def categories(self, chunk: Cells, rows: int) -> NDArray[np.int32]:
        """Encode as codes ``(rows, columns)``."""
        columns = [self._category(c.name, chunk[c.name]) for c in self.category_columns]
        return _side_by_side(columns, rows, np.int32)

    def _number(self, column: Column, cells: Distinct) -> NDArray[np.float64]:
        parsed = column.parsed(cells.values)
        parsed[np.abs(parsed) > LARGEST] = np.nan
        if (misfit := np.isnan(parsed)).any():
            found = self.misfits[column.name]
            found.cells += int(np.isin(cells.places, np.flatnonzero(misfit)).sum())
            found.example = found.example or cells.values[int(misfit.argmax())].as_py()
        return cells.spread(parsed, np.nan)

    def _category(self, name: str, cells: Distinct) -> NDArray[np.int32]:
        known, words = self._codes[name], self._spellings.get(name, {})
        keys = map(canonical, cells.values.to_pylist())
        codes = [known.setdefault(words.get(key.lower(), key), len(known)) for key in keys]
        return cells.spread(np.array(codes, dtype=np.int32), 0)


def _side_by_side(columns: Sequence[NDArray[Any]], rows: int, dtype: type) -> NDArray[Any]:
    together: NDArray[Any] = np.empty((rows, len(columns)), dtype)
    for place, column in enumerate(columns):
        together[:, place] = column
    return together


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where the columns that were fitted stand in some arrays, and what their codes mean there.

    Attributes:
        numbers: ``(columns,)`` places among the numbers.
        centres: ``(columns,)`` that numbers are measured from, so that float32 is enough for them.
        categories: ``(columns,)`` places among the categories.
        tables: for each of these the number that the network knows a code by.
    """

    numbers: NDArray[np.int64]
    centres: NDArray[np.float64]
    categories: NDArray[np.int64]
    tables: Sequence[NDArray[np.int64]]

    @classmethod
    def of(
        cls,
        statistics: Mapping[str, Any],
        columns: Sequence[Column],
        values: Mapping[str, Sequence[str]],
    ) -> "Layout":
        """Find the fitted columns among those of a cache or file.

        Raises:
            UserError: a column is missing, or of another kind.
        """
        fitted = [Column(**column) for column in statistics["columns"]]
        numbers = [column for column in columns if column.is_number]
        categories = [column for column in columns if column.kind == "categorical"]
        known: Mapping[str, Sequence[str]] = statistics["values"]
        return cls(
            numbers=_places([column for column in fitted if column.is_number], numbers, columns),
            centres=statistics["numbers"]["centres"].numpy(),
            categories=_places(
                [column for column in fitted if not column.is_number], categories, columns
            ),
            tables=[code_table(known[name], values[name]) for name in known],
        )

    def inputs(
        self, numbers: NDArray[np.float64], categories: NDArray[np.int32]
    ) -> dict[str, NDArray[Any]]:
        """Give the fields of a raw batch, of which categories are what networks get.

        Args:
            numbers: ``(batch, ...)`` as cached.
            categories: ``(batch, ...)`` codes as cached.
        """
        centred = (numbers[:, self.numbers] - self.centres).astype(np.float32)
        known = np.empty((len(categories), len(self.tables)), np.int64)
        for column, (place, table) in enumerate(zip(self.categories, self.tables, strict=True)):
            known[:, column] = table[categories[:, place]]
        return {"numbers": centred, "categories": known}


def _places(
    fitted: Sequence[Column], among: Sequence[Column], columns: Sequence[Column]
) -> NDArray[np.int64]:
    """Find the place of each fitted column, which may be 0 and 1 instead of words for them."""
    places = {column.name: place for place, column in enumerate(among)}
    for column in fitted:
        other = next((c for c in columns if c.name == column.name), None)
        if other is None or not _is_like(column, other):
            raise UserError(
                f"The column {column.name!r} was {column.kind} in training, and is "
                f"{other.kind if other else 'missing'} here. Give data of the same columns, or "
                f"declare its kind: {column.override(column.kind)}"
            )
    return np.array([places[column.name] for column in fitted], dtype=np.int64)


def _is_like(column: Column, other: Column) -> bool:
    return column == other or {column.kind, other.kind} == {"numeric", "boolean"}


def code_table(known: Sequence[str], values: Sequence[str]) -> NDArray[np.int64]:
    """Map the codes of a cache, or of a file to predict, to those that the network learnt.

    Args:
        known: the values that training knew.
        values: in the order of their codes; the first is that of a missing cell.

    Returns:
        ``(values,)`` numbers from 1; 0 is any value that training did not know.
    """
    assert values[0] == MISSING
    codes: dict[str | None, int] = {value: number for number, value in enumerate(known, start=1)}
    find = matcher(known)
    return np.array([codes.get(find(value), 0) for value in values], dtype=np.int64)

"""From cells of text to the compact arrays that are cached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.cells import Cells, Distinct
from leyden.data.table.columns import Column
from leyden.data.values import canonical

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

"""Encoding of cells as the cached arrays, and of these as network inputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.cells import Cells, Distinct
from leyden.data.table.columns import Column, load_columns, split_columns
from leyden.data.values import canonical, matcher
from leyden.errors import UserError

MISSING = ""
"""Value of a categorical column for a missing cell."""


@dataclass(kw_only=True)
class Misfits:
    """Cells of a column that are not of its kind.

    Attributes:
        cells: Number of such cells.
        example: The first of them.
    """

    cells: int = 0
    example: str = ""


class Encoder:
    """Encode chunks of a table as numbers and codes.

    The code of a value is its index in ``values``, to which new values are appended; the code of a
    missing cell is 0. Equal values have one code.

    Args:
        columns: Columns to encode; ignored ones are left out.
        spellings: Representative of each word for true or false, by categorical column.
    """

    def __init__(
        self, columns: Sequence[Column], spellings: Mapping[str, Mapping[str, str]] | None = None
    ) -> None:
        self.number_columns, self.category_columns = split_columns(columns)
        self.misfits = {column.name: Misfits() for column in self.number_columns}
        self._spellings = spellings or {}
        self._codes: dict[str, dict[str, int]] = {
            column.name: {MISSING: 0} for column in self.category_columns
        }

    @property
    def values(self) -> dict[str, list[str]]:
        """Values of each categorical column, in the order of their codes."""
        return {name: list(codes) for name, codes in self._codes.items()}

    def numbers(self, cells: Cells, rows: int) -> NDArray[np.float64]:
        """Encode numbers, float64 ``(rows, columns)``; NaN for missing cells and misfits."""
        columns = [self._number(column, cells[column.name]) for column in self.number_columns]
        return _stack(columns, rows, np.float64)

    def categories(self, cells: Cells, rows: int) -> NDArray[np.int32]:
        """Encode categories as codes, int32 ``(rows, columns)``."""
        columns = [self._category(c.name, cells[c.name]) for c in self.category_columns]
        return _stack(columns, rows, np.int32)

    def _number(self, column: Column, cells: Distinct) -> NDArray[np.float64]:
        parsed = column.parse(cells.values)
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


def _stack(columns: Sequence[NDArray[Any]], rows: int, dtype: type) -> NDArray[Any]:
    """Stack columns ``(rows,)`` to ``(rows, columns)``; there may be none."""
    return np.stack(columns, axis=1) if columns else np.empty((rows, 0), dtype)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Positions of the fitted columns in the cached arrays, and the meaning of their codes.

    Attributes:
        numbers: Indices ``(columns,)`` of the columns of the array ``numbers``.
        centres: Medians ``(columns,)`` of the training rows. Numbers are measured from them, so
            that float32 is precise enough.
        categories: Indices ``(columns,)`` of the columns of the array ``categories``.
        tables: Network input of each code ``(values,)``, by categorical column.
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

        Args:
            statistics: Fitted statistics.
            columns: Columns of the cache or file.
            values: Values of its categorical columns, in the order of their codes.

        Raises:
            UserError: If a column is missing, or of another kind.
        """
        fitted = load_columns(statistics)
        _check_columns(fitted, columns)
        numbers, categories = map(_places, split_columns(fitted), split_columns(columns))
        return cls(
            numbers=numbers,
            centres=np.asarray(statistics["numbers"]["centres"]),
            categories=categories,
            tables=[code_table(known, values[n]) for n, known in statistics["values"].items()],
        )

    def fetch(
        self, arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]
    ) -> dict[str, NDArray[Any]]:
        """Return the raw fields of the rows ``(batch,)`` of cached arrays, as ``inputs`` does."""
        return self.inputs(arrays["numbers"][rows], arrays["categories"][rows])

    def inputs(
        self, numbers: NDArray[np.float64], categories: NDArray[np.int32]
    ) -> dict[str, NDArray[Any]]:
        """Return the raw fields of a batch.

        Args:
            numbers: Cached numbers ``(batch, ...)``.
            categories: Cached codes ``(batch, ...)``.

        Returns:
            ``numbers``, float32 ``(batch, columns)``, measured from the centres, and
            ``categories``, int64 ``(batch, columns)``, which are network inputs.
        """
        values = self.values(numbers, categories)
        return values | {"numbers": (values["numbers"] - self.centres).astype(np.float32)}

    def values(
        self, numbers: NDArray[np.float64], categories: NDArray[np.int32]
    ) -> dict[str, NDArray[Any]]:
        """Return what ``inputs`` does, with ``numbers`` in float64 as they are in the table."""
        known = np.empty((len(categories), len(self.tables)), np.int64)
        for column, (place, table) in enumerate(zip(self.categories, self.tables, strict=True)):
            known[:, column] = table[categories[:, place]]
        return {"numbers": numbers[:, self.numbers], "categories": known}


def _places(fitted: Sequence[Column], columns: Sequence[Column]) -> NDArray[np.int64]:
    places = {column.name: place for place, column in enumerate(columns)}
    return np.array([places[column.name] for column in fitted], dtype=np.int64)


def _check_columns(fitted: Sequence[Column], columns: Sequence[Column]) -> None:
    """Raise if a fitted column is missing or of another kind; 0 and 1 may replace their words."""
    by_name = {column.name: column for column in columns}
    for column in fitted:
        other = by_name.get(column.name)
        if other and (column == other or {column.kind, other.kind} == {"numeric", "boolean"}):
            continue
        raise UserError(
            f"The column {column.name!r} was {column.kind} in training, and is "
            f"{other.kind if other else 'missing'} here. Give data of the same columns, or "
            f"declare its kind: {column.override(column.kind)}"
        )


def code_table(known: Sequence[str], values: Sequence[str]) -> NDArray[np.int64]:
    """Map the codes of a cache or file to those of the network.

    Args:
        known: Values in the training rows.
        values: Values of the cache or file in the order of their codes, ``MISSING`` first.

    Returns:
        Codes of the network, int64 ``(values,)``, from 1; 0 for values that are not known.

    Example:
        >>> code_table(["", "a", "b"], ["", "b", "new"]).tolist()
        [1, 3, 0]
    """
    assert values[0] == MISSING
    return np.array(list(map(code_finder(known), values)), dtype=np.int64)


def code_finder(known: Sequence[str]) -> Callable[[str], int]:
    """Return a function that maps a value to the code of the network; see ``code_table``."""
    codes: dict[str | None, int] = {value: number for number, value in enumerate(known, start=1)}
    find = matcher(known)
    return lambda value: codes.get(find(value), 0)

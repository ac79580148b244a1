"""Whole batches of a table: its columns as the fitted preprocessing knows them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch
from leyden.data.cache.prepared import Cache
from leyden.data.table.columns import Column
from leyden.data.table.fitting import code_table
from leyden.errors import UserError


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
    ) -> dict[str, Tensor]:
        """Give the fields of a raw batch, of which categories are what networks get.

        Args:
            numbers: ``(batch, ...)`` as cached.
            categories: ``(batch, ...)`` codes as cached.
        """
        centred = (numbers[:, self.numbers] - self.centres).astype(np.float32)
        known = np.empty((len(categories), len(self.tables)), np.int64)
        for column, (place, table) in enumerate(zip(self.categories, self.tables, strict=True)):
            known[:, column] = table[categories[:, place]]
        return {"numbers": torch.from_numpy(centred), "categories": torch.from_numpy(known)}


class TableRows(Dataset[Batch]):
    """Rows of a cached table."""

    def __init__(self, cached: Cache, layout: Layout) -> None:
        self.numbers: NDArray[np.float64] = cached.arrays["numbers"]
        self.categories: NDArray[np.int32] = cached.arrays["categories"]
        self.targets = torch.from_numpy(cached.targets)
        self.layout = layout

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        places = rows.numpy()
        inputs = self.layout.inputs(self.numbers[places], self.categories[places])
        return Batch(inputs=inputs, targets=self.targets[rows], rows=rows, seed=seed)


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

"""Rows of files that a finished run is asked about."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from leyden.data.inputs import Inputs
from leyden.data.table.batches import Layout
from leyden.data.table.columns import Column
from leyden.data.table.encoding import Encoder
from leyden.data.tables import TableFile
from leyden.errors import UserError

log = logging.getLogger(__name__)


def read_rows(
    files: Sequence[TableFile], statistics: Mapping[str, Any], missing: Sequence[str]
) -> Iterator[Inputs]:
    """Encode the rows of some files as in training; what was missing there may be missing here.

    What is odd about their cells is told when all have been read.

    Raises:
        UserError: a file lacks a column, or none has a row.
    """
    columns = [Column(**column) for column in statistics["columns"]]
    encoder = Encoder(columns, missing)
    oddities = _Oddities(columns, statistics["numbers"])
    chunks = (chunk for file in files for chunk in file.chunks([column.name for column in columns]))
    found = False
    for chunk in chunks:
        found |= bool(chunk.sources or chunk.rejected)
        numbers = encoder.numbers(chunk.columns, len(chunk.sources))
        categories = encoder.categories(chunk.columns, len(chunk.sources))
        layout = Layout.of(statistics, columns, encoder.values)
        fields = layout.inputs(numbers, categories)
        oddities.note(numbers[:, layout.numbers], fields["categories"])
        yield Inputs(names=chunk.sources, fields=fields, rejected=chunk.rejected)
    if not found:
        raise UserError(f"{', '.join(str(file.path) for file in files)}: no row to predict.")
    _warn_of_misfits(encoder)
    oddities.warn()


class _Oddities:
    """Cells that training never saw the like of."""

    def __init__(self, columns: Sequence[Column], fitted: Mapping[str, Tensor]) -> None:
        self.categories = [column.name for column in columns if not column.is_number]
        self.numbers = [column.name for column in columns if column.is_number]
        self.low = (fitted["centres"] + fitted["low"]).numpy()
        self.high = (fitted["centres"] + fitted["high"]).numpy()
        self.unknown = np.zeros(len(self.categories), np.int64)
        self.beyond = np.zeros(len(self.numbers), np.int64)
        self.example = np.full(len(self.numbers), np.nan)

    def note(self, numbers: NDArray[np.float64], categories: Tensor) -> None:
        """Count those of a chunk: ``(rows, columns)`` each."""
        self.unknown += (categories == 0).sum(dim=0).numpy()
        outside = (numbers < self.low) | (numbers > self.high)
        self.beyond += outside.sum(axis=0)
        for place in np.flatnonzero(outside.any(axis=0) & np.isnan(self.example)):
            self.example[place] = numbers[outside[:, place], place][0]

    def warn(self) -> None:
        """Tell of all so far."""
        for name, cells in zip(self.categories, self.unknown, strict=True):
            if cells:
                log.warning("%d cells of %s hold what training never saw", cells, name)
        for place in np.flatnonzero(self.beyond):
            log.warning(
                "%d cells of %s are outside %.6g to %.6g and count as missing, such as %.6g",
                self.beyond[place],
                self.numbers[place],
                self.low[place],
                self.high[place],
                self.example[place],
            )


def _warn_of_misfits(encoder: Encoder) -> None:
    for name, found in encoder.misfits.items():
        if found.cells:
            log.warning(
                "%d cells of %s count as missing, such as %r", found.cells, name, found.example
            )

"""Rows of files that a finished run is asked about."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leyden.data.table.batches import Layout
from leyden.data.table.columns import Column
from leyden.data.table.encoding import Encoder
from leyden.data.tables import TableFile
from leyden.errors import UserError

log = logging.getLogger(__name__)


def read_files(
    files: Sequence[TableFile], statistics: Mapping[str, Any], missing: Sequence[str]
) -> tuple[list[str], dict[str, Tensor]]:
    """Encode the rows of some files as in training; what was missing there may be missing here.

    Returns:
        A name per row, and the fields of a raw batch.

    Raises:
        UserError: a file lacks a column, has a row that can't be read, or has no row.
    """
    columns = [Column(**column) for column in statistics["columns"]]
    encoder = Encoder(columns, missing)
    names: list[str] = []
    encoded = []
    for file in files:
        for chunk in file.chunks([column.name for column in columns]):
            if chunk.rejected:
                first = chunk.rejected[0]
                raise UserError(f"{first.source} can't be read: {first.reason}. Mend the row.")
            rows = len(chunk.sources)
            encoded.append(
                (encoder.numbers(chunk.columns, rows), encoder.categories(chunk.columns, rows))
            )
            names.extend(chunk.sources)
    if not names:
        raise UserError(f"{', '.join(str(file.path) for file in files)}: no row to predict.")
    _warn_of_misfits(encoder)
    layout = Layout.of(statistics, columns, encoder.values)
    fields = [layout.inputs(numbers, categories) for numbers, categories in encoded]
    _warn_of_unknown(fields, columns)
    _warn_of_impossible(encoded, layout, statistics["numbers"], encoder.number_columns)
    return names, {name: torch.cat([chunk[name] for chunk in fields]) for name in fields[0]}


def _warn_of_misfits(encoder: Encoder) -> None:
    for name, found in encoder.misfits.items():
        if found.cells:
            log.warning(
                "%d cells of %s count as missing, such as %r", found.cells, name, found.example
            )


def _warn_of_unknown(fields: Sequence[Mapping[str, Tensor]], columns: Sequence[Column]) -> None:
    categories = [column.name for column in columns if not column.is_number]
    for place, name in enumerate(categories):
        unknown = sum(int((chunk["categories"][:, place] == 0).sum()) for chunk in fields)
        if unknown:
            log.warning("%d cells of %s hold what training never saw", unknown, name)


def _warn_of_impossible(
    encoded: Sequence[tuple[NDArray[np.float64], NDArray[np.int32]]],
    layout: Layout,
    fitted: Mapping[str, Any],
    columns: Sequence[Column],
) -> None:
    low, high = (layout.centres + fitted[name].numpy() for name in ("low", "high"))
    for place, column in enumerate(columns):
        values = np.concatenate([numbers[:, layout.numbers[place]] for numbers, _ in encoded])
        beyond = values[(values < low[place]) | (values > high[place])]
        if len(beyond):
            log.warning(
                "%d cells of %s are outside %.6g to %.6g and count as missing, such as %.6g",
                len(beyond),
                column.name,
                low[place],
                high[place],
                beyond[0],
            )

"""Comparing an exported network with its checkpoint on real rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from leyden.arrays import Arrays, count_rows
from leyden.data.base import DataModule
from leyden.errors import UserError
from leyden.serving.artefact import Network
from leyden.serving.graph import compute_answers
from leyden.tasks.base import Task
from leyden.workflows.ensemble import EnsembleData

BATCHES = (1, 2, 7, 64)
"""Numbers of rows with which an export is compared with its checkpoint."""


def real_batches(data: DataModule | EnsembleData, inputs: Sequence[str]) -> list[Arrays]:
    """Return values of real rows in batches of ``BATCHES`` rows; rows are repeated if necessary.

    Args:
        data: Data module with the fitted preprocessing.
        inputs: Files to read the rows from; the validation rows of the run if there are none.

    Raises:
        UserError: If no row can be read.
    """
    if inputs:
        chunks = (chunk.fields for chunk in data.reader().read(inputs) if chunk.names)
        rows = next(chunks, None)
        if rows is None:
            raise UserError(f"No row of {', '.join(inputs)} can be read. Expected other files.")
        count = count_rows(rows)
        numbers = [np.arange(start, start + size) % count for start, size in enumerate(BATCHES)]
        return [{name: values[each] for name, values in rows.items()} for each in numbers]
    try:
        data.prepare_data()
        data.setup("validate")
    except UserError as error:
        raise UserError(
            f"The export is compared with the checkpoint on validation rows, which cannot be read: "
            f"{error} Or give files to compare on: input=PATH."
        ) from error
    known = data.row_numbers("val")
    if not len(known):  # as of an ensemble
        known = data.row_numbers("test")
    drawn = np.resize(known, sum(BATCHES))
    return [data.values_of(rows) for rows in np.split(drawn, np.cumsum(BATCHES)[:-1])]


def compare(
    task: Task,
    data: DataModule | EnsembleData,
    network: Network,
    batches: Sequence[Arrays],
    *,
    tolerance: float,
) -> dict[str, Any]:
    """Compare the answers of a graph with those of its checkpoint.

    Args:
        task: Task with the trained weights, in evaluation mode.
        data: Data module with the fitted preprocessing.
        network: The exported network.
        batches: Values to compare on, as ``real_batches`` returns them.
        tolerance: Largest difference, in probability or standard deviations of the target.

    Returns:
        The tolerance, the largest ``deviation`` and the sizes of the ``batches``.

    Raises:
        UserError: If they differ by more than the tolerance.
    """
    largest = 0.0
    for values in batches:
        answers, expected = network(values), compute_answers(task, data, values)
        deviation = task.reading.deviation(answers, expected)
        if not deviation <= tolerance:
            rows = count_rows(values)
            raise UserError(
                f"The exported network differs from the checkpoint by {deviation:.2g} on a batch "
                f"of {rows} rows; expected at most {tolerance:g}. Nothing was written. A network "
                "whose operations depend on other rows of the batch cannot be exported."
            )
        largest = max(largest, deviation)
    return {"tolerance": tolerance, "deviation": largest, "batches": list(BATCHES)}

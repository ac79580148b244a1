"""Predict raw files with a finished run."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from leyden.batch import as_tensors
from leyden.data.inputs import Inputs
from leyden.data.rows import RejectedItem
from leyden.errors import UserError
from leyden.workflows.finished import FinishedRun, load_run, single_process_trainer


def predict(
    run: str, inputs: Sequence[str], overrides: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Predict files with the preprocessing that was fitted in training.

    Args:
        run: Run folder or checkpoint file.
        inputs: Files, or folders of files.
        overrides: Changes to the run's own config.

    Yields:
        One row per input: ``file`` and the task's columns, such as ``class`` and ``probability``.

    Raises:
        UserError: Some inputs cannot be read; raised after all other rows have been yielded.
    """
    if not inputs:
        raise UserError("Nothing to predict. Expected input=PATH, a file or a folder of files.")
    finished = load_run(run, overrides)
    device = single_process_trainer(finished).strategy.root_device
    finished.task.to(device).eval()
    rejected: list[RejectedItem] = []
    for chunk in finished.data.read_inputs(inputs):
        rejected.extend(chunk.rejected)
        yield from _rows(finished, chunk, device)
    if rejected:
        raise UserError(_unread(rejected))


def _rows(finished: FinishedRun, chunk: Inputs, device: torch.device) -> Iterator[dict[str, Any]]:
    data, task = finished.data, finished.task
    for start in range(0, len(chunk.names), data.batch_size):
        batch = slice(start, start + data.batch_size)
        with torch.inference_mode():
            raw = as_tensors({field: rows[batch] for field, rows in chunk.fields.items()})
            fields = {field: values.to(device) for field, values in raw.items()}
            columns = data.readable(task.predict(data.network_inputs(fields)))
        for name, *values in zip(chunk.names[batch], *columns.values(), strict=True):
            yield {"file": name, **dict(zip(columns, values, strict=True))}


def _unread(rejected: Sequence[RejectedItem]) -> str:
    first, others = rejected[0], len(rejected) - 1
    more = f", nor can {others} more" if others else ""
    return (
        f"{first.source} can't be read: {first.reason}{more}. Fix the inputs that have no row "
        "here, or leave them out of input=."
    )

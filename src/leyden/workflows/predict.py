"""Predicting raw files with a finished run."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer

from leyden.batch import Batch, as_tensors
from leyden.data.base import DataModule
from leyden.data.inputs import Inputs
from leyden.data.rows import RejectedItem
from leyden.errors import UserError
from leyden.workflows.ensemble import EnsembleData
from leyden.workflows.finished import FinishedRun, inference_trainer, load_run


def predict(
    run: str, inputs: Sequence[str], overrides: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Predict files with the preprocessing that was fitted in training.

    Args:
        run: Run folder or checkpoint.
        inputs: Files, or folders of files.
        overrides: Changes to the run's own config.

    Yields:
        One row per input: ``file`` and the task's columns, such as ``class`` and ``probability``.

    Raises:
        UserError: If the run cannot be restored, or some inputs cannot be read; the latter is
            raised after all other rows have been yielded.
    """
    if not inputs:
        raise UserError("Nothing to predict. Expected input=PATH, a file or a folder of files.")
    finished = load_run(run, overrides)
    trainer = inference_trainer(finished)
    rejected: list[RejectedItem] = []
    for chunk in finished.data.read_inputs(inputs):
        rejected.extend(chunk.rejected)
        if chunk.names:
            yield from _predict_chunk(finished, trainer, chunk)
    if rejected:
        raise _unreadable(rejected)


def _predict_chunk(
    finished: FinishedRun, trainer: Trainer, chunk: Inputs
) -> Iterator[dict[str, Any]]:
    batches = _batches(chunk, finished.data, trainer.strategy.root_device)
    predicted: Any = trainer.predict(finished.task, batches)
    names = iter(chunk.names)
    for batch in predicted:
        columns = finished.data.readable(batch)
        for values in zip(*columns.values(), strict=True):
            yield {"file": next(names), **dict(zip(columns, values, strict=True))}


def _batches(
    chunk: Inputs, data: DataModule | EnsembleData, device: torch.device
) -> Iterator[Batch]:
    """Yield the normalised batches of a chunk, on a device."""
    numbers = torch.arange(len(chunk.names))
    for start in range(0, len(numbers), data.batch_size):
        rows = slice(start, start + data.batch_size)
        raw = as_tensors({name: values[rows] for name, values in chunk.fields.items()})
        batch = Batch(inputs=raw, targets=None, rows=numbers[rows], seed=0).to(device)
        yield batch._replace(inputs=data.network_inputs(batch.inputs))


def _unreadable(rejected: Sequence[RejectedItem]) -> UserError:
    first, others = rejected[0], len(rejected) - 1
    more = f", nor can {others} more" if others else ""
    return UserError(
        f"{first.source} can't be read: {first.reason}{more}. Fix the inputs that have no row "
        "here, or leave them out of input=."
    )

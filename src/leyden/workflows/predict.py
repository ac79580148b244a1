"""Predict: what a finished run says of raw files."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from leyden.errors import UserError
from leyden.workflows.finished import load_run


def predict(
    run: str, inputs: Sequence[str], overrides: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Predict files with the preprocessing that was fitted in training.

    Args:
        run: a run folder or a checkpoint file.
        inputs: files, or folders of files.
        overrides: changes to the run's own config.

    Yields:
        One row per input: ``file`` and the task's columns, such as ``class`` and ``probability``.
    """
    if not inputs:
        raise UserError("Nothing to predict. Expected input=PATH, a file or a folder of files.")
    finished = load_run(run, overrides)
    data, task = finished.data, finished.task.eval()
    names, raw = data.read_inputs(inputs)
    for start in range(0, len(names), data.batch_size):
        batch = slice(start, start + data.batch_size)
        with torch.inference_mode():
            fields = {field: rows[batch] for field, rows in raw.items()}
            columns = data.readable(task.predict(data.network_inputs(fields)))
        for name, *values in zip(names[batch], *columns.values(), strict=True):
            yield {"file": name, **dict(zip(columns, values, strict=True))}

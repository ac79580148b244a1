"""Predicting with a run or a checkpoint, in its own precision, with torch."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from leyden.arrays import Arrays
from leyden.batch import Batch, as_tensors
from leyden.schema import PROBABILITY
from leyden.serving.predictor import Predictor, as_rows
from leyden.tasks.readings import ClassReading
from leyden.workflows.finished import inference_trainer, load_run


class RunPredictor(Predictor):
    """A finished run.

    Args:
        run: Run folder or checkpoint.
        overrides: Changes to the run's own config.

    Raises:
        UserError: If the run cannot be restored.
    """

    def __init__(self, run: str, overrides: Sequence[str] = ()) -> None:
        self.finished = load_run(run, overrides)
        self._trainer = inference_trainer(self.finished)
        self.path = self.finished.checkpoint
        self.reader = self.finished.data.reader()
        self.reading = self.finished.task.reading

    def stream_values(self, values: Arrays, *, top: int = 0) -> Iterator[dict[str, Any]]:
        """Predict values with the code of training and evaluation."""
        self.finished.task.every_probability = top > 0
        predicted: Any = self._trainer.predict(self.finished.task, self._batches(values))
        for columns in predicted:
            yield from as_rows(self._with_top(self.finished.data.readable(columns), top))

    def _batches(self, values: Arrays) -> Iterator[Batch]:
        """Yield normalised batches on the device of the trainer."""
        data = self.finished.data
        raw = data.raw_fields(as_tensors(values))
        numbers = torch.arange(len(next(iter(raw.values()))))
        for start in range(0, len(numbers), data.batch_size):
            rows = slice(start, start + data.batch_size)
            fields = {name: field[rows] for name, field in raw.items()}
            batch = Batch(inputs=fields, targets=None, rows=numbers[rows], seed=0)
            batch = batch.to(self._trainer.strategy.root_device)
            yield batch._replace(inputs=data.network_inputs(batch.inputs))

    def _with_top(self, columns: dict[str, list[Any]], top: int) -> dict[str, list[Any]]:
        """Replace the probabilities of all classes by those of the most probable ones."""
        if not top or not isinstance(self.reading, ClassReading):
            return columns
        probabilities = np.array([columns.pop(PROBABILITY + name) for name in self.classes])
        read = self.reading.columns({"probabilities": probabilities.T}, top=top)
        return columns | {"top": read["top"]}

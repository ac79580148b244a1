"""Predicting with a run or a checkpoint, in its own precision, with torch."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from leyden.batch import as_tensors
from leyden.data.inputs import Inputs
from leyden.schema import PROBABILITY
from leyden.serving.predictor import Predictor, round_row
from leyden.tasks.readings import Arrays, ClassReading
from leyden.workflows.finished import inference_trainer, load_run
from leyden.workflows.predict import predict_chunk, predict_files


class RunPredictor(Predictor):
    """A finished run.

    Args:
        run: Run folder or checkpoint.

    Raises:
        UserError: If the run cannot be restored.
    """

    def __init__(self, run: str) -> None:
        self.finished = load_run(run)
        self._trainer = inference_trainer(self.finished)
        self._reading = self.finished.task.reading
        self.classes = self._reading.names
        self.inputs = self.finished.data.reader().values
        self.answers = self._reading.answers

    def stream(self, paths: Sequence[str], *, top: int = 0) -> Iterator[dict[str, Any]]:
        """Predict files chunk by chunk."""
        self.finished.task.every_probability = top > 0
        for row in predict_files(self.finished, self._trainer, paths):
            yield round_row(self._with_top(row, top))

    def stream_values(self, values: Arrays, *, top: int = 0) -> Iterator[dict[str, Any]]:
        """Predict values."""
        self.finished.task.every_probability = top > 0
        raw = self.finished.data.raw_fields(as_tensors(values))
        names = [str(row) for row in range(len(next(iter(raw.values()))))]
        chunk = Inputs(names=names, fields={name: field.numpy() for name, field in raw.items()})
        for row in predict_chunk(self.finished, self._trainer, chunk):
            del row["file"]
            yield round_row(self._with_top(row, top))

    def _with_top(self, row: dict[str, Any], top: int) -> dict[str, Any]:
        """Replace the probabilities of all classes by those of the most probable ones."""
        if not top or not isinstance(self._reading, ClassReading):
            return row
        probabilities = np.array([[row.pop(PROBABILITY + name) for name in self.classes]])
        columns = self._reading.columns({"probabilities": probabilities}, top=top)
        return row | {"top": columns["top"][0]}

"""Predicting with a run or a checkpoint, in its own precision, with torch."""

from collections.abc import Iterator, Sequence
from typing import Any

from leyden.batch import as_tensors
from leyden.data.inputs import Inputs
from leyden.serving.predictor import Predictor
from leyden.tasks.readings import Arrays
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
        reading = self.finished.task.reading
        self.classes = reading.names
        self.inputs = self.finished.data.reader().values
        self.answers = reading.answers

    def stream(self, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Predict files chunk by chunk."""
        return predict_files(self.finished, self._trainer, paths)

    def stream_values(self, values: Arrays) -> Iterator[dict[str, Any]]:
        """Predict values."""
        raw = self.finished.data.raw_fields(as_tensors(values))
        names = [str(row) for row in range(len(next(iter(raw.values()))))]
        chunk = Inputs(names=names, fields={name: field.numpy() for name, field in raw.items()})
        for row in predict_chunk(self.finished, self._trainer, chunk):
            del row["file"]
            yield row

"""Graphs of lower precision, and the metrics that they cost."""

import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from leyden.config.compose import Config
from leyden.data.base import DataModule
from leyden.files import write_aside
from leyden.serving.artefact import Network
from leyden.tasks.base import Task
from leyden.tasks.classification import Classification
from leyden.tasks.multilabel import Multilabel
from leyden.tasks.readings import Arrays
from leyden.tasks.regression import Regression
from leyden.workflows.outputs import measure_outputs, task_of_outputs

TOLERANCES = {"fp32": 1e-5, "fp16": 0.02, "int8": 0.2}
"""Largest difference between the graph and the checkpoint by precision: of probabilities, or of
numbers in standard deviations of the target."""

QUANTISED = ["Gather", "Gemm", "MatMul"]
"""Operations whose weights become 8-bit integers: those that ONNX Runtime computes faster."""

ROWS_AT_ONCE = 64

TINY = float(np.finfo(np.float32).tiny)


def quantise(path: Path) -> None:
    """Convert the weights of a graph in ONNX to int8, and its activations as it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with warnings.catch_warnings(), write_aside(path) as aside:
        warnings.simplefilter("ignore")
        quantize_dynamic(path, aside, op_types_to_quantize=QUANTISED, weight_type=QuantType.QInt8)


def measure(config: Config, task: Task, data: DataModule, network: Network) -> dict[str, float]:
    """Measure a graph on the validation split, by the metrics of the task.

    Args:
        config: Config of the run.
        task: Task of the run.
        data: Its data, after ``setup``.
        network: Runs the graph.

    Returns:
        Metrics by stage and name; empty if the outputs of the task are not one number per class,
        label or row.
    """
    if not isinstance(task, Classification | Multilabel | Regression):
        return {}
    rows = data.row_numbers("val")
    chunks = np.split(rows, range(ROWS_AT_ONCE, len(rows), ROWS_AT_ONCE))
    outputs = np.concatenate([_outputs(task, network(data.values_of(chunk))) for chunk in chunks])
    measuring = task_of_outputs(config, data)
    return measure_outputs(measuring, data, {"val": torch.from_numpy(outputs)})


def _outputs(task: Task, answers: Arrays) -> NDArray[np.float32]:
    """Return outputs of a network ``(batch, outputs)`` from which a task computes its answers."""
    if isinstance(task, Regression):
        values = (answers["value"] - task.centre - task.mean) / task.std
        return np.asarray(values[:, np.newaxis], np.float32)
    probabilities = answers["probabilities"].astype(np.float64).clip(TINY, 1)
    logits = np.log(probabilities)
    if isinstance(task, Multilabel):
        logits -= np.log((1 - probabilities).clip(TINY))
    return np.asarray(logits, np.float32)

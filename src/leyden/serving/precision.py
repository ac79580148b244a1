"""Graphs of lower precision, and their metrics."""

import math
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from leyden.arrays import Arrays
from leyden.batch import Batch
from leyden.data.base import DataModule
from leyden.data.rows import SPLITS, Split
from leyden.files import write_aside
from leyden.serving.artefact import Network
from leyden.tasks.base import Task
from leyden.tasks.classification import Classification
from leyden.tasks.ctc import CTC
from leyden.tasks.language_modelling import LanguageModelling
from leyden.tasks.multilabel import Multilabel
from leyden.tasks.regression import Regression
from leyden.workflows.ensemble import EnsembleData
from leyden.workflows.outputs import GivenOutputs, measure_batches

TOLERANCES = {"fp32": 1e-5, "fp16": 0.02, "int8": 0.2}
"""Largest difference between the graph and the checkpoint by precision: of probabilities, or of
numbers in standard deviations of the target."""

QUANTISED = ["Gather", "Gemm", "MatMul"]
"""Operations whose weights become 8-bit integers: those that ONNX Runtime computes faster."""

TINY = float(np.finfo(np.float32).tiny)


def quantise(path: Path) -> None:
    """Convert the weights of a graph in ONNX to int8; activations are quantised as it runs."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with warnings.catch_warnings(), write_aside(path) as aside:
        warnings.simplefilter("ignore")
        quantize_dynamic(path, aside, op_types_to_quantize=QUANTISED, weight_type=QuantType.QInt8)


def measure(task: Task, data: DataModule | EnsembleData, network: Network) -> dict[str, float]:
    """Measure a graph by the loss and the metrics of a task, in float32 on the CPU.

    The validation split is measured, or the test split of an ensemble, which has learned from all
    other rows. Of a language model, whose graph returns one distribution per text, the perplexity
    is estimated from one token of each text, as ``sampled_perplexity``.

    Args:
        task: Task of the run.
        data: Its data, after ``setup``.
        network: Runs the graph.

    Returns:
        Metrics by stage and name; empty if no row is left to measure, or if the task is of a class
        that is not known here.
    """
    split = _measured_split(data)
    if split is None:
        return {}
    loader = data.val_dataloader() if split == "val" else data.test_dataloader()
    if isinstance(task, LanguageModelling):
        return {f"{split}/sampled_perplexity": _sampled_perplexity(data, loader, network)}
    outputs_of = next((each for kind, each in OUTPUTS.items() if isinstance(task, kind)), None)
    if outputs_of is None:
        return {}
    batches = _AnsweredBatches(loader, lambda rows: outputs_of(task, network(data.values_of(rows))))
    measured = deepcopy(task, {id(task.network): GivenOutputs()})  # without copying the network
    return measure_batches(measured, split, batches)


def _measured_split(data: DataModule | EnsembleData) -> Split | None:
    return next((split for split in SPLITS[1:] if len(data.row_numbers(split))), None)


class _AnsweredBatches:
    """Batches whose inputs are the outputs that a network has computed for their rows.

    Args:
        loader: Loader of raw batches.
        compute: Maps row numbers ``(batch,)`` to outputs ``(batch, ...)`` float32.
    """

    def __init__(
        self,
        loader: DataLoader[Batch],
        compute: Callable[[NDArray[np.int64]], NDArray[np.float32]],
    ) -> None:
        self._loader, self._compute = loader, compute

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            outputs = torch.from_numpy(self._compute(batch.rows.numpy()))
            yield batch._replace(inputs={"outputs": outputs})


def _class_logits(task: Classification, answers: Arrays) -> NDArray[np.float32]:
    # Logits are known up to a constant per row, which neither losses nor metrics depend on.
    probabilities = answers["probabilities"].astype(np.float64).clip(TINY)
    return np.asarray(np.log(probabilities) * task.temperature, np.float32)


def _label_logits(task: Multilabel, answers: Arrays) -> NDArray[np.float32]:  # noqa: ARG001
    probabilities = answers["probabilities"].astype(np.float64).clip(TINY)
    return np.asarray(np.log(probabilities / (1 - probabilities).clip(TINY)), np.float32)


def _standardised(task: Regression, answers: Arrays) -> NDArray[np.float32]:
    values = (answers["value"] - task.centre - task.mean) / task.std
    return np.asarray(values[:, np.newaxis], np.float32)


def _token_logits(task: CTC, answers: Arrays) -> NDArray[np.float32]:  # noqa: ARG001
    return np.asarray(answers["log_probabilities"], np.float32)


OUTPUTS: dict[type[Task], Callable[[Any, Arrays], NDArray[np.float32]]] = {
    Classification: _class_logits,
    CTC: _token_logits,
    Multilabel: _label_logits,
    Regression: _standardised,
}
"""Function by task that computes outputs ``(batch, ...)`` of the network from its answers."""


def _sampled_perplexity(
    data: DataModule | EnsembleData, loader: DataLoader[Batch], network: Network
) -> float:
    """Estimate the perplexity of all tokens from one token of each text, after those before it."""
    random = np.random.default_rng(0)
    surprise, weights = 0.0, 0
    for batch in loader:
        tokens = data.values_of(batch.rows.numpy())["tokens"]
        lengths = (tokens != 0).sum(axis=1)
        drawn = random.integers(lengths)
        before = np.where(np.arange(tokens.shape[1]) < drawn[:, np.newaxis], tokens, 0)
        rows = np.arange(len(tokens))
        probabilities = network({"tokens": before})["probabilities"][rows, tokens[rows, drawn]]
        # A longer text counts more, as it does in the mean over all tokens.
        surprise -= float(lengths @ np.log(probabilities.astype(np.float64).clip(TINY)))
        weights += int(lengths.sum())
    return math.exp(surprise / weights)

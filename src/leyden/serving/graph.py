"""A trained network as one module, from the values that a client sends to the answers it gets."""

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from leyden.arrays import Arrays
from leyden.batch import as_tensors
from leyden.data.audio.spectrogram import LogMel
from leyden.data.base import DataModule
from leyden.serving.artefact import graph_inputs
from leyden.tasks.base import Task
from leyden.workflows.ensemble import EnsembleData


class Graph(nn.Module):
    """Normalisation, network and probabilities in one module, whose operations can be exported.

    Args:
        task: Task with the trained weights, in evaluation mode.
        data: Data module with the fitted preprocessing.
        dtype: Dtype of the weights and of what the network computes.
    """

    def __init__(
        self,
        task: Task,
        data: DataModule | EnsembleData,
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.task = _exportable(deepcopy(task)).to(dtype)
        self.normalisation = nn.ModuleDict(
            {name: _exportable(module) for name, module in data.normalisation().items()}
        )
        self.inputs = graph_inputs(data.reader())
        self._without_columns = [v for v in data.reader().values if v not in self.inputs]
        self._raw_fields, self._normalise = data.raw_fields, data.normalise

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Map values, in the order of ``graph_inputs``, to the answers of the task."""
        given = {field.name: value for field, value in zip(self.inputs, values, strict=True)}
        for field in self._without_columns:
            sizes = (size for size in field.shape if isinstance(size, int))
            shape = values[0].shape[0], *sizes
            given[field.name] = torch.zeros(shape, dtype=getattr(torch, field.dtype))
        raw = self._raw_fields(given)
        modules = dict(self.normalisation.items())
        answers = self.task.answers(self._normalise(raw, modules))
        return tuple(answers[field.name] for field in self.task.reading.answers)


@torch.inference_mode()
def compute_answers(task: Task, data: DataModule | EnsembleData, values: Arrays) -> Arrays:
    """Compute the answers of a checkpoint with the code of training and evaluation.

    Args:
        task: Task with the trained weights, in evaluation mode.
        data: Data module with the fitted preprocessing.
        values: Values ``(batch, ...)`` by name.

    Returns:
        Answers ``(batch, ...)`` by name.
    """
    inputs = data.network_inputs(data.raw_fields(as_tensors(values)))
    return {name: answer.numpy() for name, answer in task.answers(inputs).items()}


class SumOfEmbeddings(nn.Module):
    """Compute an ``EmbeddingBag`` that sums, for which exporters loop over the rows."""

    def __init__(self, bag: nn.EmbeddingBag) -> None:
        super().__init__()
        self.weight = bag.weight

    def forward(self, ids: Tensor, per_sample_weights: Tensor) -> Tensor:
        """Map ids and weights ``(batch, length)`` to ``(batch, features)``."""
        embedded = nn.functional.embedding(ids, self.weight)
        return (per_sample_weights.unsqueeze(1) @ embedded).squeeze(1)


def _exportable(module: Any) -> Any:
    """Replace modules whose operations are not exported well by equal ones."""
    if isinstance(module, LogMel):
        return module.by_matrices()
    if isinstance(module, nn.EmbeddingBag) and module.mode == "sum":
        return SumOfEmbeddings(module)
    for name, child in module.named_children():
        setattr(module, name, _exportable(child))
    return module

"""Measuring outputs that were computed elsewhere as if a task's network had computed them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from leyden.batch import Batch
from leyden.config.build import build, call
from leyden.config.compose import Config
from leyden.data.base import DataModule
from leyden.data.rows import Split
from leyden.tasks.base import Task
from leyden.workflows.evaluate import only_loader
from leyden.workflows.finished import WRITES_NOTHING


def task_of_outputs(config: Config, data: DataModule) -> Task:
    """Build the task of a config with a network that returns its inputs.

    Args:
        config: The config.
        data: Its data, after ``setup``.
    """
    factory = build(config, "task", Task)
    task: Task = call("task", factory, spec=data.spec, network=_GivenOutputs)
    return task


def measure_outputs(
    task: Task, data: DataModule, outputs: Mapping[Split, Tensor]
) -> dict[str, float]:
    """Measure outputs by the loss and the metrics of a task, in float32 on the CPU.

    Args:
        task: Task of ``task_of_outputs``.
        data: Data of the same config, after ``setup``.
        outputs: Logits ``(rows, ...)`` float32 of the splits ``val`` and ``test``, in the order of
            ``data.row_numbers``. Splits that are absent are not measured.

    Returns:
        Metrics by stage and name, such as ``test/accuracy``.
    """
    settings: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
    trainer = Trainer(**settings, **WRITES_NOTHING)
    measures = {"val": trainer.validate, "test": trainer.test}
    metrics: dict[str, float] = {}
    for split, logits in outputs.items():
        batches = _Batches(logits, data.centred_targets(split), size=data.batch_size)
        metrics |= only_loader(measures[split](task, batches, verbose=False))
    return metrics


class _GivenOutputs(nn.Module):
    """Network whose inputs are its outputs."""

    def __init__(self, **sizes: Any) -> None:  # noqa: ARG002  # those of every network
        super().__init__()

    def forward(self, outputs: Tensor) -> Tensor:
        return outputs


class _Batches:
    def __init__(self, outputs: Tensor, targets: Tensor, *, size: int) -> None:
        self._chunks = list(
            zip(torch.split(outputs, size), torch.split(targets, size), strict=True)
        )

    def __len__(self) -> int:
        return len(self._chunks)

    def __iter__(self) -> Iterator[Batch]:
        for outputs, targets in self._chunks:
            rows = torch.arange(len(outputs))
            yield Batch(inputs={"outputs": outputs}, targets=targets, rows=rows, seed=0)

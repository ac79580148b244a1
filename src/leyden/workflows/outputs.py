"""Measuring outputs that were computed elsewhere as if a task's network had computed them."""

from collections.abc import Iterable, Iterator, Mapping
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
    task: Task = call("task", factory, spec=data.spec, network=GivenOutputs)
    return task


def measure_outputs(
    task: Task, data: DataModule, outputs: Mapping[Split, Tensor]
) -> dict[str, float]:
    """Measure outputs by the loss and the metrics of a task.

    Args:
        task: Task of ``task_of_outputs``.
        data: Data of the same config, after ``setup``.
        outputs: Logits ``(rows, ...)`` float32 of the splits ``val`` and ``test``, in the order of
            ``data.row_numbers``. Splits that are absent are not measured.

    Returns:
        Metrics by stage and name, such as ``test/accuracy``.
    """
    metrics: dict[str, float] = {}
    for split, logits in outputs.items():
        batches = _Batches(logits, data.centred_targets(split), size=data.batch_size)
        metrics |= measure_batches(task, split, batches)
    return metrics


def measure_batches(task: Task, split: Split, batches: Iterable[Batch]) -> dict[str, float]:
    """Measure batches of a split, ``val`` or ``test``, whose only input is ``outputs``.

    Args:
        task: Task whose network is ``GivenOutputs``.
        split: The split.
        batches: Batches of outputs ``(batch, ...)`` float32, and the targets of their rows.

    Returns:
        Metrics by stage and name, computed in float32 on the CPU.
    """
    settings: dict[str, Any] = {"accelerator": "cpu", "devices": 1, "precision": "32-true"}
    trainer = Trainer(**settings, **WRITES_NOTHING)
    measure = trainer.validate if split == "val" else trainer.test
    return only_loader(measure(task, batches, verbose=False))


class GivenOutputs(nn.Module):
    """Network whose inputs are its outputs."""

    def __init__(self, **sizes: Any) -> None:  # noqa: ARG002  # those of every network
        super().__init__()

    def forward(self, outputs: Tensor) -> Tensor:
        """Return outputs ``(batch, ...)``."""
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

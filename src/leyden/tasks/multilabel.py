"""Multi-label classification: none, one or several labels per row."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics.classification import (
    MultilabelAUROC,
    MultilabelExactMatch,
    MultilabelF1Score,
)

from leyden.batch import Batch, DataSpec
from leyden.tasks.base import Stage, Task
from leyden.tasks.pooled_metrics import PooledMetrics

SEPARATOR = ";"
"""Between the labels of a predicted row."""


class Multilabel(Task):
    """Learns for every label whether a row has it.

    Metrics: ``exact_match`` (rows whose labels are all right), ``f1`` and ``auroc`` (mean over
    labels, of ``auroc`` weighted by their rows).

    Args:
        spec: sizes and label names of the data.
        loss: of logits ``(batch, labels)`` and truths ``(batch, labels)``, float32.
        threshold: probability from which on a row has a label.
        options: those of every task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        loss: Callable[[Tensor, Tensor], Tensor],
        threshold: float = 0.5,
        **options: Any,
    ) -> None:
        if spec.targets.get("kind") != "labels" or len(spec.class_names) < 2:
            raise ValueError(
                "multilabel learns two labels or more, of which a row may have several. Give "
                "several target columns or data.label_separator, or choose task=classification "
                "or task=regression."
            )
        _check_loss(loss)
        super().__init__(spec=spec, metrics=_metrics(len(spec.class_names), threshold), **options)
        self.loss = loss
        self.threshold = threshold

    def step(self, batch: Batch, stage: Stage) -> Tensor:
        """Compute the mean loss over rows and labels."""
        assert batch.targets is not None
        logits = self(batch.inputs)
        if stage != "train":
            self.update_metrics(stage, logits.float().sigmoid(), batch.targets.long())
        return self.loss(logits, batch.targets.to(logits.dtype))

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Give the labels of each row, and the probability of every label."""
        probabilities = logits.float().sigmoid()
        names = self.spec.class_names
        columns: dict[str, list[Any]] = {
            "labels": [
                SEPARATOR.join(name for name, has in zip(names, row, strict=True) if has)
                for row in (probabilities >= self.threshold).tolist()
            ]
        }
        columns |= {
            f"probability of {name}": probabilities[:, index].tolist()
            for index, name in enumerate(names)
        }
        return columns


def _check_loss(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Refuse a loss of classes that exclude each other."""
    both = torch.tensor([[30.0, 30.0]])
    if loss(both, torch.ones_like(both)) > 0.1:
        raise ValueError(
            "multilabel needs a loss that judges every label by itself. Choose loss=bce."
        )


def _metrics(num_labels: int, threshold: float) -> PooledMetrics:
    # Validating arguments would look at the values of each batch, and so wait for the device.
    sizes: dict[str, Any] = {"num_labels": num_labels, "validate_args": False}
    with warnings.catch_warnings():
        # As for single labels: exact, at the cost of memory.
        warnings.filterwarnings("ignore", message=".*will save all targets and predictions")
        auroc = MultilabelAUROC(average="weighted", **sizes)
    return PooledMetrics(
        {
            "exact_match": MultilabelExactMatch(threshold=threshold, **sizes),
            "f1": MultilabelF1Score(threshold=threshold, average="macro", **sizes),
            "auroc": auroc,
        }
    )

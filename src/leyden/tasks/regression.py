"""Regression: one number per row."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError

from leyden.batch import Batch, DataSpec
from leyden.losses.reduction import Loss, check_loss, denominator
from leyden.tasks.base import BatchLoss, Stage, Task
from leyden.tasks.metrics import R2
from leyden.tasks.pooled_metrics import PooledMetrics

SIGNIFICANT = 7
"""Digits of the deviation of the targets that a predicted number is rounded to."""


class Regression(Task):
    """Learns a number per row, standardised by the training split.

    Metrics: ``mae`` and ``rmse`` in the target's own unit, and ``r2``, the share of the variance
    that is explained. The loss is that of standardised numbers.

    Args:
        spec: sizes of the data, and mean and deviation of its targets.
        loss: of numbers ``(batch,)`` and numbers ``(batch,)``.
        options: those of every task.
    """

    def __init__(self, *, spec: DataSpec, loss: Loss, **options: Any) -> None:
        if spec.targets.get("kind") != "number":
            raise ValueError(
                "regression learns numbers, but the targets of the data are classes or labels. "
                "Choose task=classification or task=multilabel; or, where the classes of a table "
                "are numbers, data.target_type=number."
            )
        _check_loss(loss)
        super().__init__(spec=spec, metrics=_metrics(), **options)
        self.loss = loss
        self.centre = float(spec.targets.get("centre", 0.0))
        self.mean = float(spec.targets["mean"])
        self.std = float(spec.targets["std"]) or 1.0

    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the loss of standardised numbers."""
        assert batch.targets is not None
        predicted = self(batch.inputs).squeeze(1)
        centred = batch.targets - self.mean
        # The metrics take no notice of a shift, and centred sums of squares are more exact.
        if stage != "train":
            self.update_metrics(stage, predicted.float() * self.std, centred)
        targets = (centred / self.std).to(predicted.dtype)
        weight = denominator(self.loss, targets, rows=len(targets))
        return BatchLoss(self.loss(predicted, targets), weight)

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Return the number in the target's own unit, to the precision of float32 logits."""
        values = logits.double().cpu().squeeze(1) * self.std + self.mean + self.centre
        decimals = SIGNIFICANT - 1 - math.floor(math.log10(self.std))
        return {"value": [round(value, decimals) for value in values.tolist()]}


def _metrics() -> PooledMetrics:
    return PooledMetrics(
        {"mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False), "r2": R2()}
    )


def _check_loss(loss: Loss) -> None:
    """Refuse a loss of classes, which would take numbers for probabilities without a word."""
    numbers, others = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([3.0, 2.0, 4.5])
    check_loss(
        loss,
        right=(numbers, numbers),
        wrong=(numbers, others),
        highest=1e-6,
        needed="task=regression needs one of numbers, which is 0 where they agree, such as "
        "loss=mse or loss=huber",
    )

"""Regression: one number per row."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, R2Score

from leyden.batch import Batch, DataSpec
from leyden.tasks.base import Stage, Task
from leyden.tasks.pooled_metrics import PooledMetrics


class Regression(Task):
    """Learns a number per row, standardised by the training part.

    Metrics: ``mae`` and ``rmse`` in the target's own unit, and ``r2``, the share of the variance
    that is explained. The loss is that of standardised numbers.

    Args:
        spec: sizes of the data, and mean and deviation of its targets.
        loss: of numbers ``(batch,)`` and numbers ``(batch,)``.
        options: those of every task.
    """

    def __init__(
        self, *, spec: DataSpec, loss: Callable[[Tensor, Tensor], Tensor], **options: Any
    ) -> None:
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

    def step(self, batch: Batch, stage: Stage) -> Tensor:
        """Compute the loss of standardised numbers."""
        assert batch.targets is not None
        predicted = self(batch.inputs).squeeze(1)
        centred = batch.targets - self.mean
        # The metrics take no notice of a shift, and centred sums of squares are more exact.
        if stage != "train":
            self.update_metrics(stage, predicted.float() * self.std, centred)
        return self.loss(predicted, centred / self.std)

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Give the number in the target's own unit."""
        values = logits.double().cpu().squeeze(1) * self.std + self.mean + self.centre
        return {"value": values.tolist()}


def _metrics() -> PooledMetrics:
    return PooledMetrics(
        {
            "mae": MeanAbsoluteError(),
            "rmse": MeanSquaredError(squared=False),
            "r2": R2Score(),
        }
    )


def _check_loss(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Refuse a loss of classes, which would take numbers for probabilities without a word."""
    same = torch.tensor([1.0, -2.0])
    try:
        fits = bool(torch.isclose(loss(same, same), torch.zeros(())))
    except (IndexError, RuntimeError):  # it wants a column per class
        fits = False
    if not fits:
        raise ValueError(
            "regression needs a loss of numbers, which is 0 where they agree. Choose loss=mse or "
            "loss=huber."
        )

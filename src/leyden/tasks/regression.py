"""Regression: one number per row."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, MetricCollection

from leyden.batch import Batch, DataSpec
from leyden.losses.reduction import Loss, check_loss, denominator
from leyden.tasks.averaging import Averaging
from leyden.tasks.base import BatchLoss, Stage, Task
from leyden.tasks.metrics import R2
from leyden.tasks.readings import NumberReading


class Regression(Task):
    """Regression on standardised targets.

    The loss is that of targets standardised by the mean and the standard deviation of the training
    split. Metrics: ``mae`` and ``rmse`` in the unit of the targets, and ``r2``, the coefficient of
    determination.

    Args:
        spec: Sizes of the data, and the mean and standard deviation of the training targets.
        loss: Loss of predictions ``(batch,)`` and targets ``(batch,)``, floating.
        options: Arguments of every ``Task``.

    Raises:
        UserError: If the loss is not one of numbers.
        ValueError: If the targets of the data are not numbers.
    """

    target_kind = "number"

    def __init__(self, *, spec: DataSpec, loss: Loss, **options: Any) -> None:
        if spec.targets.get("kind") != "number":
            raise ValueError(
                "task=regression learns numbers, but the targets of the data are classes or "
                "labels. Choose task=classification or task=multilabel; or, if the classes of a "
                "table are numbers, data.target_type=number."
            )
        _check_loss(loss)
        super().__init__(spec=spec, metrics=_metrics(), **options)
        self.loss = loss
        self.centre, self.mean, self.std = _moments(spec)

    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the loss of standardised predictions.

        Args:
            batch: Targets are ``(batch,)`` float32, in the unit of the data. The logits are
                ``(batch, 1)``, standardised predictions.
            stage: Stage whose metrics are updated.
        """
        assert batch.targets is not None
        predicted = self(batch.inputs).squeeze(1)
        centred = batch.targets - self.mean
        # Subtracting the mean does not change the metrics, and sums of squares are more exact.
        if stage != "train":
            self.update_metrics(stage, predicted.float() * self.std, centred)
        targets = (centred / self.std).to(predicted.dtype)
        weight = denominator(self.loss, targets, rows=len(targets))
        return BatchLoss(self.loss(predicted, targets), weight)

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Return numbers in the unit of the targets, rounded to the precision of float32.

        Args:
            logits: Standardised predictions, ``(batch, 1)`` floating.
        """
        return self.reading.columns({"value": self._values(logits).cpu().numpy()})

    def answers(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute numbers in the unit of the targets, ``(batch,)`` float64."""
        return {"value": self._values(self(inputs))}

    @property
    def reading(self) -> NumberReading:
        """The number of each row."""
        return NumberReading(std=self.std)

    def _values(self, logits: Tensor) -> Tensor:
        # As tensors: exporters round plain numbers to float32.
        moments = logits.new_tensor([self.std, self.mean, self.centre], dtype=torch.float64)
        std, mean, centre = moments.unbind()
        return logits.double().squeeze(1) * std + mean + centre

    def averaging(self, specs: Sequence[DataSpec]) -> Averaging:
        """Average numbers in the unit of the targets, by which each network has its own scale."""
        moments = [_moments(spec) for spec in specs]
        scales = [std / self.std for _, _, std in moments]
        # Differences of large and nearly equal numbers, which float64 holds.
        shifts = [
            (centre - self.centre + mean - self.mean) / self.std for centre, mean, _ in moments
        ]

        def average(outputs: Sequence[Tensor]) -> Tensor:
            members = zip(outputs, scales, shifts, strict=True)
            return torch.stack([out.float() * scale + shift for out, scale, shift in members]).mean(
                dim=0
            )

        return average


def _moments(spec: DataSpec) -> tuple[float, float, float]:
    """Return what was subtracted from targets, and the mean and deviation of what is left."""
    targets = spec.targets
    return float(targets.get("centre", 0.0)), float(targets["mean"]), float(targets["std"]) or 1.0


def _metrics() -> MetricCollection:
    return MetricCollection(
        {"mae": MeanAbsoluteError(), "rmse": MeanSquaredError(squared=False), "r2": R2()}
    )


def _check_loss(loss: Loss) -> None:
    """Raise if a loss is not one of numbers: a loss of classes takes them for probabilities."""
    numbers, others = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([3.0, 2.0, 4.5])
    check_loss(
        loss,
        right=(numbers, numbers),
        wrong=(numbers, others),
        highest=1e-6,
        needed="task=regression needs a loss of numbers, which is 0 if they are equal, such as "
        "loss=mse or loss=huber",
    )

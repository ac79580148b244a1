"""Metrics that do not depend on the batch size and are NaN if they are undefined."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    MulticlassAUROC,
    MulticlassF1Score,
    MultilabelAUROC,
    MultilabelF1Score,
)
from torchmetrics.utilities.data import dim_zero_cat

CONSTANT = 1e-12
"""Fraction of the sum of squares below which a sum of squared deviations is a rounding error."""


def exact_dtype() -> torch.dtype:
    """Return the dtype of sums over an epoch: float64, or float32 on MPS, which lacks float64."""
    return torch.float32 if torch.mps.is_available() else torch.float64


class MeanLoss(Metric):
    """Weighted mean of the mean losses of batches, over all ranks; sums stay on the device.

    Example:
        >>> loss = MeanLoss()
        >>> loss.update(torch.tensor(1.0), 3)
        >>> loss.update(torch.tensor(5.0), 1)
        >>> loss.compute()
        tensor(2.)
    """

    higher_is_better = False
    full_state_update = False
    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "weight"):
            self.add_state(name, torch.zeros((), dtype=exact_dtype()), dist_reduce_fx="sum")

    def update(self, loss: Tensor, weight: Tensor | int) -> None:
        """Add a batch.

        Args:
            loss: Mean loss of the batch, ``()``.
            weight: Weight of the batch, as in ``BatchLoss``.
        """
        if isinstance(weight, Tensor):
            weight = weight.detach().to(self.total.dtype)
            # The mean loss of a batch of weight 0 is NaN and does not count.
            self.total.add_(torch.where(weight > 0, loss * weight, 0))
        else:
            self.total.add_(loss, alpha=weight)
        self.weight.add_(weight)

    def compute(self) -> Tensor:
        """Return the mean over all batches, ``()`` float32."""
        return (self.total / self.weight).float()


class R2(Metric):
    """Coefficient of determination; NaN for a single row and for constant targets.

    ``torchmetrics.R2Score`` raises for a single row, and returns 0 or 1 if targets are small.

    Example:
        >>> r2 = R2()
        >>> r2.update(torch.tensor([2.5, 0.0, 2.0, 8.0]), torch.tensor([3.0, -0.5, 2.0, 7.0]))
        >>> round(r2.compute().item(), 4)
        0.9486
    """

    higher_is_better = True
    full_state_update = False
    residual: Tensor
    total: Tensor
    squares: Tensor
    rows: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("residual", "total", "squares", "rows"):
            self.add_state(name, torch.zeros((), dtype=exact_dtype()), dist_reduce_fx="sum")

    def update(self, predicted: Tensor, targets: Tensor) -> None:
        """Add predictions and targets, ``(batch,)`` floating."""
        predicted, targets = predicted.to(self.total.dtype), targets.to(self.total.dtype)
        self.residual.add_((predicted - targets).square().sum())
        self.total.add_(targets.sum())
        self.squares.add_(targets.square().sum())
        self.rows.add_(len(targets))

    def compute(self) -> Tensor:
        """Return the coefficient over all rows, ``()`` float32."""
        variance = self.squares - self.total.square() / self.rows
        is_defined = variance > CONSTANT * self.squares
        return torch.where(is_defined, 1 - self.residual / variance, torch.nan).float()


class ClassAUROC(MulticlassAUROC):
    """One-vs-rest AUROC, averaged over classes, weighted by their rows; NaN if undefined."""

    def __init__(self, *, num_classes: int) -> None:
        with _quiet():
            super().__init__(num_classes=num_classes, average="none", validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override]
        """Return the average over classes, ``()``."""
        targets = dim_zero_cat(self.target)
        with _quiet():
            areas = super().compute()
        return _mean_area(areas, torch.bincount(targets, minlength=len(areas)), len(targets))

    def confusion(self) -> Tensor:
        """Return the number of rows by target and most probable class, ``(classes, classes)``."""
        predicted, targets = dim_zero_cat(self.preds).argmax(dim=1), dim_zero_cat(self.target)
        cells = targets * self.num_classes + predicted
        counts = torch.bincount(cells, minlength=self.num_classes**2)
        return counts.reshape(self.num_classes, self.num_classes)


class LabelAUROC(MultilabelAUROC):
    """AUROC of each label, averaged over labels, weighted by their rows; NaN if undefined."""

    def __init__(self, *, num_labels: int) -> None:
        with _quiet():
            super().__init__(num_labels=num_labels, average="none", validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override]
        """Return the average over labels, ``()``."""
        targets = dim_zero_cat(self.target)
        with _quiet():
            areas = super().compute()
        return _mean_area(areas, targets.sum(dim=0), len(targets))


class ClassF1(MulticlassF1Score):
    """Macro F1 over the classes in the targets or the predictions; NaN if there are none."""

    def __init__(self, *, num_classes: int) -> None:
        super().__init__(
            num_classes=num_classes, average="none", zero_division=torch.nan, validate_args=False
        )

    def compute(self) -> Tensor:
        """Return the average over classes, ``()``."""
        return super().compute().nanmean()


class LabelF1(MultilabelF1Score):
    """Macro F1 over the labels in the targets or the predictions; NaN if there are none."""

    tp: Tensor
    fp: Tensor
    tn: Tensor
    fn: Tensor

    def __init__(self, *, num_labels: int, threshold: float) -> None:
        super().__init__(
            num_labels=num_labels,
            threshold=threshold,
            average="none",
            zero_division=torch.nan,
            validate_args=False,
        )

    def compute(self) -> Tensor:
        """Return the average over labels, ``()``."""
        return super().compute().nanmean()

    def confusion(self) -> Tensor:
        """Return the number of rows without and with each label, ``(labels, 2, 2)``.

        The second axis is whether the target has the label, the third whether it is predicted.
        """
        return torch.stack([self.tn, self.fp, self.fn, self.tp], dim=1).reshape(-1, 2, 2)


def _mean_area(areas: Tensor, members: Tensor, rows: int) -> Tensor:
    """Average the AUROC over classes, weighted by their rows.

    A class without rows, or of all rows, has no AUROC and is left out.

    Args:
        areas: AUROC of each class, ``(classes,)``; sums of trapezoids, which may round to above 1.
        members: Number of rows of each class, ``(classes,)``.
        rows: Number of all rows.

    Returns:
        Average, ``()``; NaN if every class is left out.
    """
    weights = torch.where(members < rows, members, 0)
    return ((areas * weights).sum() / weights.sum()).clamp(max=1.0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Ignore warnings of torchmetrics about stored predictions and about absent classes."""
    with warnings.catch_warnings():
        # An exact AUROC needs all predictions; binned ones would take more time.
        warnings.filterwarnings("ignore", message=".*will save all targets and predictions")
        warnings.filterwarnings("ignore", message="No (positive|negative) samples in targets")
        yield

"""Metrics that are exact however rows are batched, and NaN where they are undefined."""

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
"""Share of the sum of squares below which a variance is rounding."""


def exact_dtype() -> torch.dtype:
    """Return the dtype of sums over an epoch: float64, which MPS lacks."""
    return torch.float32 if torch.mps.is_available() else torch.float64


class MeanLoss(Metric):
    """Weighted mean of per-batch means; sums stay on the device and sync over ranks."""

    higher_is_better = False
    full_state_update = False
    total: Tensor
    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("total", "weight"):
            self.add_state(name, torch.zeros((), dtype=exact_dtype()), dist_reduce_fx="sum")

    def update(self, loss: Tensor, weight: Tensor | int) -> None:
        """Add the mean loss ``()`` of a batch and what it was divided by."""
        if isinstance(weight, Tensor):
            weight = weight.detach().to(self.total.dtype)
            # The mean over nothing is NaN, and counts for nothing.
            self.total.add_(torch.where(weight > 0, loss * weight, 0))
        else:
            self.total.add_(loss, alpha=weight)
        self.weight.add_(weight)

    def compute(self) -> Tensor:
        """Return the mean over all batches so far."""
        return (self.total / self.weight).float()


class R2(Metric):
    """Share of the variance that is explained; NaN for one row and for constant targets.

    torchmetrics' own raises for one row, and returns 0 or 1 for every target of a small unit.
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
        """Add predictions and targets ``(batch,)``."""
        predicted, targets = predicted.to(self.total.dtype), targets.to(self.total.dtype)
        self.residual.add_((predicted - targets).square().sum())
        self.total.add_(targets.sum())
        self.squares.add_(targets.square().sum())
        self.rows.add_(len(targets))

    def compute(self) -> Tensor:
        """Return the share over all rows so far."""
        variance = self.squares - self.total.square() / self.rows
        is_defined = variance > CONSTANT * self.squares
        return torch.where(is_defined, 1 - self.residual / variance, torch.nan).float()


class ClassAUROC(MulticlassAUROC):
    """Area of each class against the rest, weighted by its rows; see ``_mean_area``."""

    def __init__(self, *, num_classes: int) -> None:
        with _quiet():
            super().__init__(num_classes=num_classes, average="none", validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override]
        """Return the mean over classes."""
        targets = dim_zero_cat(self.target)
        with _quiet():
            areas = super().compute()
        return _mean_area(areas, torch.bincount(targets, minlength=len(areas)), len(targets))


class LabelAUROC(MultilabelAUROC):
    """Area of each label, weighted by the rows that have it; see ``_mean_area``."""

    def __init__(self, *, num_labels: int) -> None:
        with _quiet():
            super().__init__(num_labels=num_labels, average="none", validate_args=False)

    def compute(self) -> Tensor:  # type: ignore[override]
        """Return the mean over labels."""
        targets = dim_zero_cat(self.target)
        with _quiet():
            areas = super().compute()
        return _mean_area(areas, targets.sum(dim=0), len(targets))


class ClassF1(MulticlassF1Score):
    """Mean F1 over the classes that rows have or that were predicted; NaN without any."""

    def __init__(self, *, num_classes: int) -> None:
        super().__init__(
            num_classes=num_classes,
            average="none",
            zero_division=torch.nan,
            validate_args=False,
        )

    def compute(self) -> Tensor:
        """Return the mean over classes."""
        return super().compute().nanmean()


class LabelF1(MultilabelF1Score):
    """Mean F1 over the labels that rows have or that were predicted; NaN without any."""

    def __init__(self, *, num_labels: int, threshold: float) -> None:
        super().__init__(
            num_labels=num_labels,
            threshold=threshold,
            average="none",
            zero_division=torch.nan,
            validate_args=False,
        )

    def compute(self) -> Tensor:
        """Return the mean over labels."""
        return super().compute().nanmean()


def _mean_area(areas: Tensor, members: Tensor, rows: int) -> Tensor:
    """Average areas ``(classes,)`` by members; a class of no row or of all rows has no area.

    NaN if no class has one. Areas are sums of many trapezia, which may round to above 1.
    """
    weights = torch.where(members < rows, members, 0)
    return ((areas * weights).sum() / weights.sum()).clamp(max=1.0)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hush torchmetrics: predictions are kept on purpose, and so are classes left out."""
    with warnings.catch_warnings():
        # Binning probabilities costs more time than keeping them costs memory.
        warnings.filterwarnings("ignore", message=".*will save all targets and predictions")
        warnings.filterwarnings("ignore", message="No (positive|negative) samples in targets")
        yield

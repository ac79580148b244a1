"""Metrics that count many batches at once."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

POOLED_VALUES = 2**20
"""Predicted values that wait together, which is 4 MiB of them."""


class PooledMetrics(MetricCollection):
    """Lets small batches wait and counts them together: an update costs the same for few rows."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        super().__init__(dict(metrics))
        self.waiting: list[tuple[Tensor, Tensor]] = []

    def update(self, predicted: Tensor, targets: Tensor) -> None:  # type: ignore[override]
        """Take predictions ``(batch, ...)`` and their targets."""
        self.waiting.append((predicted, targets))
        if sum(each.numel() for each, _ in self.waiting) >= POOLED_VALUES:
            self._count()

    def compute(self) -> dict[str, Any]:
        """Give the metrics of all rows so far."""
        self._count()
        return super().compute()

    def reset(self) -> None:
        """Forget all rows."""
        self.waiting = []
        super().reset()

    def _count(self) -> None:
        if self.waiting:
            predicted, targets = map(torch.cat, zip(*self.waiting, strict=True))
            self.waiting = []
            super().update(predicted, targets)

"""Metrics that count many batches at once."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

POOLED_VALUES = 2**20
"""Predicted values that wait together, which is 4 MiB of them."""


class PooledMetrics(MetricCollection):
    """Lets small batches wait and counts them together: few rows cost nearly what many do."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        super().__init__(dict(metrics))
        self.waiting: list[tuple[Tensor, Tensor]] = []
        self.waiting_values = 0

    def update(self, predicted: Tensor, targets: Tensor) -> None:  # type: ignore[override]
        """Take predictions ``(batch, ...)`` and their targets."""
        self.waiting.append((predicted, targets))
        self.waiting_values += predicted.numel()
        if self.waiting_values >= POOLED_VALUES:
            self._count()

    def compute(self) -> dict[str, Any]:
        """Give the metrics of all rows so far."""
        self._count()
        return super().compute()

    def reset(self) -> None:
        """Forget all rows."""
        self._take_waiting()
        super().reset()

    def _count(self) -> None:
        if self.waiting:
            predicted, targets = map(torch.cat, zip(*self._take_waiting(), strict=True))
            super().update(predicted, targets)

    def _take_waiting(self) -> list[tuple[Tensor, Tensor]]:
        waiting, self.waiting, self.waiting_values = self.waiting, [], 0
        return waiting

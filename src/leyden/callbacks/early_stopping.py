"""Early stopping."""

from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as LightningsEarlyStopping

from leyden.monitor import Mode, check_measured, mode_of


class EarlyStopping(LightningsEarlyStopping):
    """Stops training when the monitored metric no longer improves.

    NaN counts as no improvement.

    Args:
        monitor: Name of the metric, as it is logged.
        mode: Whether lower (``min``) or higher (``max``) values are better; ``None`` follows the
            metric.
        patience: Number of measurements without improvement after which training stops.
        min_delta: Smallest change that counts as an improvement.
        options: Further arguments of Lightning's ``EarlyStopping``.

    Raises:
        ValueError: If ``patience`` is negative.
    """

    def __init__(
        self,
        *,
        monitor: str,
        mode: Mode | None = None,
        patience: int = 3,
        min_delta: float = 0.0,
        **options: Any,
    ) -> None:
        if patience < 0:
            raise ValueError(f"patience must be at least 0 measurements, got {patience}")
        options = {"check_finite": False, **options}
        self.chosen_mode = mode
        super().__init__(
            monitor, min_delta=min_delta, patience=patience, mode=mode or "min", **options
        )

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Determine the mode before a checkpoint is restored.

        Raises:
            UserError: If the metric is unknown or contradicts ``mode``.
        """
        if stage != "fit":
            return
        self.mode = mode_of(trainer, self.monitor, self.chosen_mode)
        sign = 1 if self.mode == "max" else -1
        self.min_delta = sign * abs(self.min_delta)
        self.best_score = torch.tensor(-sign * torch.inf)
        if self._check_on_train_epoch_end is None:
            # After each measurement: an epoch may have no validation, or several.
            self._check_on_train_epoch_end = not self.monitor.startswith("val/")

    def _validate_condition_metric(self, logs: Mapping[str, Any]) -> bool:
        if self.strict:
            check_measured(self.monitor, logs)
        return super()._validate_condition_metric(dict(logs))

"""The metrics of each epoch, in ``metrics.csv``."""

import csv
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, SupportsFloat

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from leyden.files import open_aside
from leyden.monitor import Mode, check_measured, mode_of

log = logging.getLogger(__name__)

STAGES = ("train/", "val/", "test/")

FIRST_COLUMNS = ("epoch", "step", "lr")

STATE = ("rows", "validated", "validated_step", "best")
"""Attributes that are saved in checkpoints."""


class MetricHistory(Checkpoint):
    """Writes one row per epoch; checkpoints hold the rows so far.

    Lightning's own CSV logger deletes the file when a run is resumed, and keeps rows that a crash
    made obsolete. Here a resumed run rewrites the file from its checkpoint, so each epoch is in it
    once. One column is the best value so far of the monitored metric. Metrics that an epoch did not
    measure have empty cells.

    It is a ``Checkpoint`` because Lightning calls those after the task has logged its epoch.

    Args:
        monitor: Name of the metric whose best value is tracked.
        mode: Whether lower (``min``) or higher (``max``) values are better; ``None`` follows the
            metric.
        filename: Name of the file in the run folder, which ends in ``.csv``.

    Raises:
        ValueError: If the name has another suffix.

    Attributes:
        rows: The rows so far.
        validated: Metrics of the newest validation in this epoch.
        validated_step: Number of optimizer steps before the newest validation.
        best: Best value of the monitored metric in the run, including the time before a resume.
    """

    def __init__(
        self, *, monitor: str, mode: Mode | None = None, filename: str = "metrics.csv"
    ) -> None:
        if not filename.endswith(".csv"):  # every other file of a run has another suffix
            raise ValueError(f"filename must end in .csv, got {filename}")
        self.monitor = monitor
        self.mode = mode
        self.filename = filename
        self.rows: list[dict[str, float]] = []
        self.validated: dict[str, float] = {}
        self.validated_step: int | None = None
        self.best: float | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Determine the mode before training starts.

        Raises:
            UserError: If the metric is unknown or contradicts ``mode``.
        """
        if stage == "fit":
            self.mode = mode_of(trainer, self.monitor, self.mode)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the metrics of the validation."""
        if trainer.sanity_checking:
            return
        measured = stage_metrics(trainer.callback_metrics)
        self.validated = {key: measured[key] for key in measured if not key.startswith("train/")}
        self.validated_step = trainer.global_step
        if not self.monitor.startswith("train/"):
            self._track(self.validated)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append the row of the epoch before checkpoints are written."""
        measured = stage_metrics(trainer.callback_metrics)
        row: dict[str, float] = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
        }
        row |= {name: value for name, value in measured.items() if name.startswith("train/")}
        row |= self.validated
        self.validated = {}
        self.rows.append(row)
        if self.monitor.startswith("train/"):
            self._track(row)
        if self.best is not None:
            best = {f"best/{self.monitor}": self.best}
            row |= best
            for logger in trainer.loggers:
                logger.log_metrics(best, step=trainer.global_step)
        if trainer.is_global_zero:
            self._write(Path(trainer.default_root_dir) / self.filename)

    def forget(self) -> None:
        """Reset the best value, so that the next one becomes the best."""
        self.best = None

    def state_dict(self) -> dict[str, Any]:
        """Return the rows and the best value so far."""
        return {name: getattr(self, name) for name in STATE} | {"by": [self.monitor, self.mode]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows, and find their best value if the monitored metric is another one."""
        for name in STATE:
            setattr(self, name, state_dict[name])
        self.rows = [dict(row) for row in self.rows]
        if state_dict["by"] != [self.monitor, self.mode]:
            self.best = None
            for row in self.rows:
                self._improve(row.get(self.monitor, math.nan))

    def _track(self, measured: Mapping[str, float]) -> None:
        """Compare the monitored metric with the best so far.

        Raises:
            UserError: If the metric was not logged.
        """
        check_measured(self.monitor, measured)
        value = measured[self.monitor]
        if math.isnan(value):
            log.warning(
                "%s is NaN, perhaps undefined for these rows, so these weights cannot be the best",
                self.monitor,
            )
        self._improve(value)

    def _improve(self, value: float) -> None:
        if math.isnan(value):
            return
        better = max if self.mode == "max" else min
        self.best = value if self.best is None else better(value, self.best)

    def _write(self, path: Path) -> None:
        names = {name for row in self.rows for name in row}
        columns = [name for name in FIRST_COLUMNS if name in names]
        columns += sorted(names - set(columns))
        with open_aside(path) as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(self.rows)


def stage_metrics(metrics: Mapping[str, SupportsFloat]) -> dict[str, float]:
    """Return the metrics of training, validation and test among all logged values."""
    return {name: float(value) for name, value in metrics.items() if name.startswith(STAGES)}

"""The metric history of a run, in ``metrics.csv``."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, SupportsFloat

from lightning.pytorch import Callback, LightningModule, Trainer

from leyden.errors import UserError, did_you_mean

STAGES = ("train/", "val/", "test/")

FIRST_COLUMNS = ("epoch", "step", "lr")


class MetricHistory(Callback):
    """Writes one row an epoch; the rows so far travel in the checkpoint.

    Lightning's own CSV logger deletes the file when a run is continued and knows nothing of the
    rows that a crash made obsolete. Here a continued run rewrites the file from the checkpoint it
    continues, so each epoch stands in it once. The best value so far of the monitored metric is
    one of the columns.

    Args:
        monitor: the metric whose best value is tracked.
        mode: whether lower (``min``) or higher (``max``) is better.
        filename: name of the file in the run folder.
    """

    def __init__(self, *, monitor: str, mode: str, filename: str = "metrics.csv") -> None:
        self.monitor = monitor
        self.mode = mode
        self.filename = filename
        self.rows: list[dict[str, float]] = []

    @property
    def best(self) -> float | None:
        """The best value of the monitored metric over the whole run, before a resume too."""
        values = [row[self.monitor] for row in self.rows if self.monitor in row]
        if not values:
            return None
        return min(values) if self.mode == "min" else max(values)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Refuse to monitor what nobody measures.

        Raises:
            UserError: the monitored metric was not logged.
        """
        if not trainer.sanity_checking and self.monitor not in trainer.callback_metrics:
            known = stage_metrics(trainer.callback_metrics)
            raise UserError(
                f"monitor={self.monitor} is not measured.{did_you_mean(self.monitor, known)}"
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Add the epoch's row before checkpoints are written."""
        row: dict[str, float] = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "lr": float(trainer.optimizers[0].param_groups[0]["lr"]),
        }
        row |= metrics_of_epoch(trainer)
        self.rows.append(row)
        if self.best is not None:
            best = {f"best/{self.monitor}": self.best}
            row |= best
            for logger in trainer.loggers:
                logger.log_metrics(best, step=trainer.global_step)
        if trainer.is_global_zero:
            self._write(Path(trainer.default_root_dir) / self.filename)

    def state_dict(self) -> dict[str, Any]:
        """Give the rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the rows of the run that is continued."""
        self.rows = [dict(row) for row in state_dict["rows"]]

    def _write(self, path: Path) -> None:
        names = {name for row in self.rows for name in row}
        columns = [name for name in FIRST_COLUMNS if name in names]
        columns += sorted(names - set(columns))
        unfinished = path.with_name(f"{path.name}.unfinished")
        with unfinished.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(self.rows)
        unfinished.replace(path)


def stage_metrics(metrics: Mapping[str, SupportsFloat]) -> dict[str, float]:
    """Pick the metrics of the stages out of all that was logged."""
    return {name: float(value) for name, value in metrics.items() if name.startswith(STAGES)}


def metrics_of_epoch(trainer: Trainer) -> dict[str, float]:
    """Pick what this epoch has measured: Lightning keeps older values where none validated it."""
    metrics = stage_metrics(trainer.callback_metrics)
    every = trainer.check_val_every_n_epoch
    if every is None or (trainer.current_epoch + 1) % every == 0:
        return metrics
    return {name: value for name, value in metrics.items() if not name.startswith("val/")}

"""Progress bar during an epoch, and a line of metrics after it."""

import logging
import sys
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from tqdm import tqdm

from leyden.callbacks.history import stage_metrics
from leyden.callbacks.idle_hooks import idle_when

log = logging.getLogger(__name__)


class EpochProgress(ProgressBar, Checkpoint):
    """Logs one line per epoch, and draws a bar if standard error is a terminal.

    It is a ``Checkpoint`` because Lightning calls those after the task has logged its epoch.

    Args:
        refresh_rate: Steps between two updates of the bar; an update costs as much as a small step.
    """

    def __init__(self, *, refresh_rate: int = 20) -> None:
        super().__init__()
        self.refresh_rate = refresh_rate
        self.bar: tqdm[Any] | None = None
        self.enabled = True
        self.is_validated = False

    def disable(self) -> None:
        """Stop writing; Lightning calls this on all ranks but the first."""
        self.enabled = False

    def enable(self) -> None:
        """Write again."""
        self.enabled = True

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Create the bar."""
        if self.enabled and sys.stderr.isatty():
            total = int(trainer.num_training_batches)
            self.bar = tqdm(desc=_epoch(trainer), total=total, unit="batch", leave=False)

    @idle_when(lambda *_: not sys.stderr.isatty())
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the bar every ``refresh_rate`` steps."""
        if self.bar is not None and (batch_idx + 1) % self.refresh_rate == 0:
            self.bar.update(batch_idx + 1 - self.bar.n)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Mark the validation metrics as those of this epoch."""
        self.is_validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the bar by a line of metrics."""
        self._close()
        metrics = [
            f"{name} {value:.4f}"
            for name, value in sorted(stage_metrics(trainer.callback_metrics).items())
            if self.is_validated or name.startswith("train/")
        ]
        self.is_validated = False
        if self.enabled:
            log.info("%s  %s", _epoch(trainer), "  ".join(metrics))

    def on_exception(self, *_: Any) -> None:
        """Remove an unfinished bar."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _epoch(trainer: Trainer) -> str:
    """Return ``epoch N/TOTAL``, counted from 1; without the total if it is not known."""
    last = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
    return f"epoch {trainer.current_epoch + 1}{last}"

"""Progress bar during an epoch, and a line of metrics after it."""

import logging
import math
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, ProgressBar
from tqdm import tqdm

from leyden.callbacks.history import stage_metrics
from leyden.callbacks.idle_hooks import idle_when
from leyden.ranks.environment import shows_progress

log = logging.getLogger(__name__)


class EpochProgress(ProgressBar, Checkpoint):
    """Logs one line per epoch, and draws a bar if standard error is a terminal.

    The bar counts the batches of the epoch or of the evaluation, with the time left. It shows the
    loss and the monitored metric of the epoch before, which are known without a synchronisation of
    the device.

    It is a ``Checkpoint`` because Lightning calls those after the task has logged its epoch.

    Args:
        monitor: Name of a metric that the bar shows beside ``train/loss``.
        refresh_rate: Steps between two updates of the bar; an update costs as much as a small step.
    """

    def __init__(self, *, monitor: str | None = None, refresh_rate: int = 20) -> None:
        super().__init__()
        self.shown = ("train/loss", monitor)
        self.refresh_rate = refresh_rate
        self.bar: tqdm[Any] | None = None
        self.enabled = True
        self.is_validated = False
        self.measured = ""

    def disable(self) -> None:
        """Stop writing; Lightning calls this on all ranks but the first."""
        self.enabled = False

    def enable(self) -> None:
        """Write again."""
        self.enabled = True

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Create the bar."""
        self._show_epoch(trainer, 0)

    @idle_when(lambda *_: not shows_progress())
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the bar every ``refresh_rate`` steps."""
        if (batch_idx + 1) % self.refresh_rate == 0:
            self._show_epoch(trainer, batch_idx + 1)

    @idle_when(lambda *_: not shows_progress())
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Show the progress of the validation in place of that of the epoch."""
        self._show_evaluation("validation", batch_idx, trainer.num_val_batches[dataloader_idx])

    @idle_when(lambda *_: not shows_progress())
    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Show the progress of the test."""
        self._show_evaluation("test", batch_idx, trainer.num_test_batches[dataloader_idx])

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Mark the validation metrics as those of this epoch."""
        self.is_validated = True
        self._close()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the bar."""
        self._close()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the bar by a line of metrics."""
        self._close()
        metrics = {
            name: f"{name} {value:.4f}"
            for name, value in sorted(stage_metrics(trainer.callback_metrics).items())
            if self.is_validated or name.startswith("train/")
        }
        self.is_validated = False
        self.measured = "  ".join(text for name, text in metrics.items() if name in self.shown)
        if self.enabled:
            log.info("%s  %s", _epoch(trainer), "  ".join(metrics.values()))

    def on_exception(self, *_: Any) -> None:
        """Remove an unfinished bar."""
        self._close()

    def _show_epoch(self, trainer: Trainer, done: int) -> None:
        self._show(_epoch(trainer), done, trainer.num_training_batches, self.measured)

    def _show_evaluation(self, split: str, batch_idx: int, total: float) -> None:
        if batch_idx == 0 or (batch_idx + 1) % self.refresh_rate == 0:
            self._show(split, batch_idx + 1, total)

    def _show(self, name: str, done: int, total: float, measured: str = "") -> None:
        """Update the bar of what runs now; there is never a second one."""
        if not (self.enabled and shows_progress()):
            return
        if self.bar is None or self.bar.desc != name:
            self._close()
            length = int(total) if math.isfinite(total) else None
            self.bar = tqdm(
                desc=name,
                total=length,
                initial=done,
                unit="batch",
                leave=False,
                dynamic_ncols=True,
            )
            self.bar.set_postfix_str(measured, refresh=False)
        self.bar.update(done - self.bar.n)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _epoch(trainer: Trainer) -> str:
    """Return ``epoch N/TOTAL``, counted from 1; without the total if it is not known."""
    last = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
    return f"epoch {trainer.current_epoch + 1}{last}"

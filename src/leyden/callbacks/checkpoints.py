"""The checkpoints of a run: the best ones, the last one and the one before it."""

import math
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging

from leyden.checkpoints.files import BEST, FOLDER, LAST, PREVIOUS
from leyden.checkpoints.io import link_checkpoint
from leyden.files import remove
from leyden.monitor import Mode, mode_of

AGREED_EVERY = 8
"""Batches between two votes of the ranks; each vote synchronises them."""


class Checkpoints(Checkpoint):
    """Keeps ``best.ckpt``, ``last.ckpt`` and the previous last one, ``previous.ckpt``.

    The last checkpoint is written at the end of every epoch, and also within an epoch after some
    steps or minutes. It does not depend on the monitored metric. The best checkpoint holds exactly
    the weights that were validated, within an epoch too.

    Args:
        monitor: Name of the metric that decides which checkpoint is the best.
        mode: Whether lower (``min``) or higher (``max``) values are better; ``None`` follows the
            metric.
        save_top_k: Number of best checkpoints to keep. If it is more than 1, each is also kept as
            ``epoch-NNN-step-N.ckpt``, with epochs counted from 0.
        save_every_steps: Optimizer steps between two last checkpoints within an epoch.
        save_every_minutes: Minutes between two last checkpoints within an epoch.

    Raises:
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        *,
        monitor: str,
        mode: Mode | None = None,
        save_top_k: int = 1,
        save_every_steps: int | None = None,
        save_every_minutes: float | None = None,
    ) -> None:
        for name, every in (("steps", save_every_steps), ("minutes", save_every_minutes)):
            if every is not None and every <= 0:
                raise ValueError(f"save_every_{name} must be above 0 or null, got {every}")
        if save_top_k < 1:
            raise ValueError(f"save_top_k must be at least 1, the best one, got {save_top_k}")
        self.monitor = monitor
        self.mode = mode
        self.save_top_k = save_top_k
        self.save_every_steps = save_every_steps or math.inf
        self.save_every_seconds = 60 * (save_every_minutes or math.inf)
        self.kept: list[tuple[float, int, int]] = []
        self.measured: float | None = None
        self.saved_step = 0
        self.saved_at = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Determine the mode before a checkpoint is restored.

        Raises:
            UserError: If the metric is unknown or contradicts ``mode``.
        """
        if stage == "fit":
            self.mode = mode_of(trainer, self.monitor, self.mode)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start counting steps and minutes."""
        self.saved_step, self.saved_at = trainer.global_step, time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the last checkpoint if it is due."""
        due = trainer.global_step - self.saved_step >= self.save_every_steps
        if math.isfinite(self.save_every_seconds):
            late = time.monotonic() - self.saved_at >= self.save_every_seconds
            due |= any_rank_asks(trainer, batch_idx, asked=late)
        if due and is_resumable(trainer, batch_idx):
            self._save(trainer, LAST)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the validated weights before they change if they are among the best."""
        if trainer.sanity_checking or self.monitor.startswith("train/"):
            return
        self._measure(trainer)
        averaged = any(isinstance(each, WeightAveraging) for each in trainer.callbacks)  # type: ignore[attr-defined]
        # The end of the epoch saves the same weights, unless an average is updated there.
        if averaged or not trainer.is_last_batch:
            self._save_best(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the checkpoints of a complete epoch."""
        if self.monitor.startswith("train/"):
            self._measure(trainer)
        # last.ckpt comes last: a run that is killed in between writes the others again.
        self._save_best(trainer, LAST)

    def forget(self) -> None:
        """Reset the best values, so that the next validated weights become the best."""
        self.kept = []

    def state_dict(self) -> dict[str, Any]:
        """Return the scores of the kept checkpoints, with the metric and its mode."""
        return {"kept": [list(each) for each in self.kept], "by": [self.monitor, self.mode]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the scores of the kept checkpoints if the metric and its mode are the same."""
        if state_dict["by"] == [self.monitor, self.mode]:
            self.kept = [(score, epoch, step) for score, epoch, step in state_dict["kept"]]

    def _measure(self, trainer: Trainer) -> None:
        if self.monitor in trainer.callback_metrics:
            self.measured = float(trainer.callback_metrics[self.monitor])

    def _save_best(self, trainer: Trainer, *others: str) -> None:
        names = self._update_kept(trainer.current_epoch, trainer.global_step)
        self.measured = None
        if not names and not others:
            return
        self._save(trainer, *names, *others)
        if trainer.is_global_zero:
            kept = {_name(epoch, step) for _, epoch, step in self.kept}
            for path in folder_of(trainer).glob("epoch-*.ckpt"):
                if path.name not in kept or self.save_top_k == 1:
                    remove(path)

    def _update_kept(self, epoch: int, step: int) -> list[str]:
        """Compare the measured value with the kept ones; return the file names for its weights."""
        if self.measured is None or not math.isfinite(self.measured):
            return []
        own = (self.measured, epoch, step)
        sign = -1 if self.mode == "max" else 1
        self.kept = sorted([*self.kept, own], key=lambda each: sign * each[0])[: self.save_top_k]
        names = [BEST] if self.kept[:1] == [own] else []
        if self.save_top_k > 1 and own in self.kept:
            names.append(_name(epoch, step))
        return names

    def _save(self, trainer: Trainer, *names: str) -> None:
        save(trainer, *names)
        self.saved_step, self.saved_at = trainer.global_step, time.monotonic()


def save(trainer: Trainer, *names: str) -> None:
    """Write one checkpoint under several names, on every rank.

    The old ``last.ckpt`` is kept as ``previous.ckpt``.
    """
    folder = folder_of(trainer)
    if trainer.is_global_zero and LAST in names and (folder / LAST).exists():
        link_checkpoint(folder / LAST, folder / PREVIOUS)
    first, *others = names
    trainer.save_checkpoint(folder / first, weights_only=False)
    if trainer.is_global_zero:
        for other in others:
            link_checkpoint(folder / first, folder / other)


def folder_of(trainer: Trainer) -> Path:
    """Return the folder of a run's checkpoints."""
    return Path(trainer.default_root_dir) / FOLDER


def is_resumable(trainer: Trainer, batch_idx: int) -> bool:
    """Whether training can resume exactly from a checkpoint written after this batch.

    It cannot if accumulated gradients wait for an optimizer step, or if a validation or the end of
    the epoch follows: Lightning skips these when it resumes.
    """
    done = batch_idx + 1
    interval = trainer.val_check_batch
    validates = interval is not None and math.isfinite(interval) and done % interval == 0
    ends = trainer.is_last_batch or trainer.should_stop or trainer.global_step == trainer.max_steps
    return done % trainer.accumulate_grad_batches == 0 and not validates and not ends


def any_rank_asks(trainer: Trainer, batch_idx: int, *, asked: bool) -> bool:
    """Whether any rank asks for a checkpoint or a stop.

    Args:
        trainer: The trainer.
        batch_idx: Index of the batch in its epoch. Several ranks vote only every few batches; for
            other batches the result is False.
        asked: Whether this rank asks.
    """
    if trainer.world_size == 1:
        return asked
    if (batch_idx + 1) % (AGREED_EVERY * trainer.accumulate_grad_batches):
        return False
    return trainer.strategy.reduce_boolean_decision(asked, all=False)


def _name(epoch: int, step: int) -> str:
    return f"epoch-{epoch:03d}-step-{step}.ckpt"

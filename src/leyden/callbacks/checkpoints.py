"""The checkpoints of a run: the best ones and the last one."""

import math
import shutil
import time
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, WeightAveraging

from leyden.files import remove
from leyden.monitor import Mode, mode_of

FOLDER = "checkpoints"
BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"

AGREED_EVERY = 8
"""Batches between two agreements of several ranks: each makes them wait for one another."""


class Checkpoints(Checkpoint):
    """Keeps ``best.ckpt``, ``last.ckpt`` and the one before it, ``previous.ckpt``.

    The last checkpoint is written at the end of every epoch, and within one after some steps or
    minutes. It never depends on the monitored metric. The best one holds the very weights that were
    measured, wherever in an epoch that was.

    Args:
        monitor: the metric that decides which checkpoint is the best.
        mode: whether lower (``min``) or higher (``max``) is better; ``None`` follows the metric.
        save_top_k: number of good checkpoints to keep; of several, each stands as
            ``epoch-NNN-step-N.ckpt`` too, epochs being counted from 0.
        save_every_steps: optimizer steps between two last checkpoints.
        save_every_minutes: minutes between two last checkpoints.
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

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Choose the direction, before a checkpoint is restored."""
        if stage == "fit":
            self.mode = mode_of(trainer, self.monitor, self.mode)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Count steps and minutes from here on."""
        self.saved_step, self.saved_at = trainer.global_step, time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Write the last checkpoint, if it is due."""
        due = trainer.global_step - self.saved_step >= self.save_every_steps
        if math.isfinite(self.save_every_seconds):
            late = time.monotonic() - self.saved_at >= self.save_every_seconds
            due |= agreed(trainer, batch_idx, asked=late)
        if due and is_resumable(trainer, batch_idx):
            self._save(trainer, LAST)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Rank the weights that were measured, and save good ones before they change."""
        if trainer.sanity_checking or self.monitor.startswith("train/"):
            return
        self._measure(trainer)
        averaged = any(isinstance(each, WeightAveraging) for each in trainer.callbacks)  # type: ignore[attr-defined]
        # The end of an epoch saves the same weights, unless a moving average is updated there.
        if averaged or not trainer.is_last_batch:
            self._save_ranked(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Write the checkpoints of a whole epoch."""
        if self.monitor.startswith("train/"):
            self._measure(trainer)
        # The last comes last: a run that is killed in between writes the others anew.
        self._save_ranked(trainer, LAST)

    def forget(self) -> None:
        """Forget the best value, so that the next measured weights are the best."""
        self.kept = []

    def state_dict(self) -> dict[str, Any]:
        """Give the scores of the checkpoints that are kept."""
        return {"kept": [list(each) for each in self.kept], "by": [self.monitor, self.mode]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what an earlier part of the run has kept, if it was judged in the same way."""
        if state_dict["by"] == [self.monitor, self.mode]:
            self.kept = [(score, epoch, step) for score, epoch, step in state_dict["kept"]]

    def _measure(self, trainer: Trainer) -> None:
        if self.monitor in trainer.callback_metrics:
            self.measured = float(trainer.callback_metrics[self.monitor])

    def _save_ranked(self, trainer: Trainer, *others: str) -> None:
        names = self._ranked(trainer.current_epoch, trainer.global_step)
        self.measured = None
        if not names and not others:
            return
        self._save(trainer, *names, *others)
        if trainer.is_global_zero:
            kept = {_name(epoch, step) for _, epoch, step in self.kept}
            for path in folder_of(trainer).glob("epoch-*.ckpt"):
                if path.name not in kept or self.save_top_k == 1:
                    remove(path)

    def _ranked(self, epoch: int, step: int) -> list[str]:
        """Rank what was measured among those that are kept, and name the files that it deserves."""
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
    """Write one checkpoint under several names; every rank has to call this.

    What ``last.ckpt`` was stays as ``previous.ckpt``.
    """
    folder = folder_of(trainer)
    if trainer.is_global_zero and LAST in names and (folder / LAST).exists():
        _link(folder / LAST, folder / PREVIOUS)
    first, *others = names
    trainer.save_checkpoint(folder / first, weights_only=False)
    if trainer.is_global_zero:
        for other in others:
            _link(folder / first, folder / other)


def folder_of(trainer: Trainer) -> Path:
    """Give the folder of the checkpoints of a run."""
    return Path(trainer.default_root_dir) / FOLDER


def is_resumable(trainer: Trainer, batch_idx: int) -> bool:
    """Tell whether a checkpoint behind this batch would hold all that the rest depends on.

    It would not where gradients have been gathered without a step, or where a validation or the
    end of the epoch comes next: Lightning would leave that out when it continues.
    """
    done = batch_idx + 1
    interval = trainer.val_check_batch
    validates = interval is not None and math.isfinite(interval) and done % interval == 0
    ends = trainer.is_last_batch or trainer.should_stop or trainer.global_step == trainer.max_steps
    return done % trainer.accumulate_grad_batches == 0 and not validates and not ends


def agreed(trainer: Trainer, batch_idx: int, *, asked: bool) -> bool:
    """Tell whether any rank asks for something; with several, only every few batches."""
    if trainer.world_size == 1:
        return asked
    if (batch_idx + 1) % (AGREED_EVERY * trainer.accumulate_grad_batches):
        return False
    return trainer.strategy.reduce_boolean_decision(asked, all=False)


def _name(epoch: int, step: int) -> str:
    return f"epoch-{epoch:03d}-step-{step}.ckpt"


def _link(source: Path, target: Path) -> None:
    """Give a checkpoint a second name, in the place of what had it.

    Files are replaced, never changed.
    """
    if source.is_dir():
        from leyden.checkpoints import shards  # slow to import

        shards.link(source, target, _link)
        return
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        unfinished.hardlink_to(source)
    except OSError:  # this file system has no hard links
        shutil.copyfile(source, unfinished)
    if target.is_dir():  # several ranks wrote the one that was there
        remove(target)
    unfinished.replace(target)

"""Handling of a loss that is NaN or infinite."""

import logging
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torchmetrics import Metric

from leyden.callbacks.idle_hooks import idle_when
from leyden.errors import UserError
from leyden.ranks.collectives import gather

LISTED_ROWS = 20
"""Maximum number of row numbers in a message."""

MAX_ROLLBACKS = 10
"""Maximum number of batches that ``rollback`` skips before the run fails."""

log = logging.getLogger(__name__)


class Step(NamedTuple):
    """A training step, with the indices of its rows in the cache of the data set."""

    step: int
    epoch: int
    batch: int
    rows: list[int]

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.rows[:LISTED_ROWS]))
        more = ", …" if len(self.rows) > LISTED_ROWS else ""
        return f"step {self.step} (epoch {self.epoch}, batch {self.batch}, rows {rows}{more})"


class RollbackError(Exception):
    """Raised to resume training from the last checkpoint without one batch.

    Attributes:
        step: Step whose batch is skipped.
    """

    def __init__(self, step: Step) -> None:
        super().__init__(str(step))
        self.step = step


class FiniteLoss(Callback):
    """Detects a loss that is NaN or infinite before it affects a checkpoint.

    Losses are collected on the device and checked together, because each check synchronises the
    host with the device. Only ``on_nan="skip"`` has to check every step.

    Args:
        on_nan: ``stop`` ends the run; ``skip`` skips the batch; ``rollback`` resumes from the last
            checkpoint and then skips the batch.
        check_every: Batches between two checks.

    Raises:
        UserError: If a loss or a weight is not finite, and ``on_nan`` does not handle it.
        RollbackError: If a loss is not finite and ``on_nan`` is ``rollback``.
    """

    def __init__(
        self, *, on_nan: Literal["stop", "skip", "rollback"] = "stop", check_every: int = 50
    ) -> None:
        self.on_nan = on_nan
        self.check_every = check_every
        self.left_out: set[tuple[int, int]] = set()
        self._losses: list[tuple[int, int, Any, Tensor]] = []
        self._is_left_out = False
        self._loss: Tensor | None = None
        self._before: list[tuple[Any, str, Any]] = []

    @idle_when(lambda self, _: self.on_nan == "stop")
    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Save the values that are restored if the batch is skipped."""
        self._is_left_out = (trainer.current_epoch, batch_idx) in self.left_out
        if self._is_left_out or self.on_nan == "skip":
            self._before = list(_running_values(pl_module))

    @idle_when(lambda self, module: self.on_nan != "skip" and module.automatic_optimization)
    def on_before_backward(
        self, trainer: Trainer, pl_module: LightningModule, loss: Tensor
    ) -> None:
        """Record the loss ``()``."""
        self._loss = loss.detach()

    @idle_when(lambda self, _: self.on_nan == "stop")
    def on_after_backward(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Clear the gradients of a skipped batch, so that optimizers ignore its parameters."""
        if self.on_nan == "skip" and not self._is_left_out:
            assert self._loss is not None  # set before the backward pass
            bad = not bool(self._loss.isfinite())
            self._is_left_out = trainer.strategy.reduce_boolean_decision(bad, all=False)
        if self._is_left_out:
            for parameter in pl_module.parameters():
                parameter.grad = None

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Restore the saved values if the batch is skipped, or check the losses."""
        rows = getattr(batch, "rows", None)
        if self._is_left_out:
            step = _step(trainer.global_step, trainer.current_epoch, batch_idx, rows)
            log.warning("skipping %s: its loss is not finite", step)
            for holder, name, value in self._before:
                setattr(holder, name, value) if name else holder.copy_(value)
        elif self.on_nan != "skip":
            loss = outputs.get("loss") if pl_module.automatic_optimization else self._loss
            if loss is not None:  # a task may return None to skip a batch
                self._losses.append((trainer.global_step, batch_idx, rows, loss))
            if (batch_idx + 1) % self.check_every == 0:
                self._check(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the remaining losses."""
        self._check(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep non-finite weights out of checkpoints; a finite loss may have infinite gradients."""
        self._check(trainer)
        finite = torch.stack([each.isfinite().all() for each in pl_module.parameters()])
        if not bool(finite.all()):
            raise UserError(
                f"After step {trainer.global_step} some weights are not finite, although every "
                f"loss was. {_remedy(trainer)}"
            )

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch and number of each skipped batch."""
        return {"left_out": sorted(self.left_out)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore which batches were skipped before the checkpoint, to skip them again."""
        self.left_out |= {(int(epoch), int(batch)) for epoch, batch in state_dict["left_out"]}

    def _check(self, trainer: Trainer) -> None:
        losses, self._losses = self._losses, []
        first = _first_non_finite(losses, trainer.current_epoch)
        if not trainer.strategy.reduce_boolean_decision(first is not None, all=False):
            return
        step = min(Step(*each) for each in gather(trainer, first) if each)
        if self.on_nan == "rollback" and len(self.left_out) < MAX_ROLLBACKS:
            raise RollbackError(step)
        raise UserError(f"The loss is not a finite number in {step}. {_remedy(trainer)}")


def _first_non_finite(losses: list[tuple[int, int, Any, Tensor]], epoch: int) -> Step | None:
    if not losses:
        return None
    finite = torch.stack([loss for *_, loss in losses]).isfinite().tolist()
    if all(finite):
        return None
    step, batch_idx, rows, _ = losses[finite.index(False)]
    return _step(step, epoch, batch_idx, rows)


def _step(step: int, epoch: int, batch_idx: int, rows: Tensor | None) -> Step:
    return Step(step, epoch, batch_idx, [] if rows is None else rows.tolist())


def _remedy(trainer: Trainer) -> str:
    return (
        f"The checkpoints in {trainer.default_root_dir} are older. Inspect these rows, lower "
        "optimizer.lr, set trainer.gradient_clip_val, or give callbacks.finite_loss.on_nan=skip "
        "or =rollback."
    )


def _running_values(module: nn.Module) -> Iterator[tuple[Any, str, Any]]:
    """Copy what a forward pass changes: running statistics of norms, and states of metrics."""
    for buffer in module.buffers():
        yield buffer, "", buffer.clone()
    for metric in module.modules():
        if isinstance(metric, Metric):
            for name, value in metric.metric_state.items():
                yield metric, name, value.clone() if isinstance(value, Tensor) else list(value)

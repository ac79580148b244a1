"""State that Lightning's checkpoints lack, so that a resumed run equals an uninterrupted one."""

import logging
import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.types import _Stateful
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer
from lightning.pytorch.utilities.types import LRSchedulerConfig
from torch import nn
from torchmetrics import Metric

from leyden.ranks.collectives import gather

KEY = "resume"
"""Key of the state in a checkpoint."""

log = logging.getLogger(__name__)


class ExactResume(Callback):
    """Saves what Lightning's checkpoints lack, so that resuming is exact to the bit.

    This is the position in the epoch, the random generators of every rank, partially accumulated
    metrics, the last logged values, the decision to stop early, and the value for the step of a
    plateau schedule, which Lightning takes after it has written the checkpoint of an epoch.
    """

    def __init__(self) -> None:
        self.resumed: dict[str, Any] | None = None
        self.epoch_ended = False

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the state of every rank; Lightning calls this on all ranks."""
        loader = trainer.train_dataloader
        own = {"generators": _generators(), "metrics": dict(_partial_metrics(pl_module))}
        checkpoint[KEY] = {
            "ranks": gather(trainer, own),
            "plateaus": [
                _pending_plateau_value(trainer, each) if self.epoch_ended else None
                for each in trainer.lr_scheduler_configs
            ],
            "should_stop": bool(trainer.should_stop),
            "epoch_ended": self.epoch_ended,
            "measured": _on_cpu(dict(trainer.callback_metrics)),
            "loader": loader.state_dict() if isinstance(loader, _Stateful) else None,
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Keep the state until training starts."""
        self.resumed = checkpoint.get(KEY)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, Timer):
                # trainer.max_time limits this command, not the run.
                checkpoint["callbacks"].pop(callback.state_key, None)
        self._keep_new_patience(trainer, checkpoint["callbacks"])

    def _keep_new_patience(self, trainer: Trainer, states: dict[str, Any]) -> None:
        """Revoke the decision to stop early if the patience was raised or the callback removed."""
        stopping = {
            callback.state_key: callback
            for callback in trainer.callbacks  # type: ignore[attr-defined]
            if isinstance(callback, EarlyStopping)
        }
        for key, state in states.items():
            if not key.startswith(EarlyStopping.__qualname__):
                continue
            patience = stopping[key].patience if key in stopping else math.inf
            if self.resumed and patience > state["patience"]:
                self.resumed["should_stop"] = False
            state["patience"] = patience

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the state of this rank, after everything else has been restored."""
        if self.resumed is None:
            return
        for config, value in zip(
            trainer.lr_scheduler_configs, self.resumed["plateaus"], strict=False
        ):
            if value is not None:
                pl_module.lr_scheduler_step(config.scheduler, value)
        if self.resumed["epoch_ended"] and trainer.max_steps != -1:
            _begin_next_epoch(trainer)
        trainer.should_stop = self.resumed["should_stop"]
        for name, value in self.resumed["measured"].items():
            trainer.callback_metrics[name] = value.to(pl_module.device)
        # Lightning restores the loader only if the number of steps was not computed before, as
        # every schedule does.
        if isinstance(loader := trainer.train_dataloader, _Stateful):
            loader.load_state_dict(self.resumed["loader"])
        ranks = self.resumed["ranks"]
        if len(ranks) == trainer.world_size:
            _restore_metrics(pl_module, ranks[trainer.global_rank]["metrics"])
            _restore_generators(ranks[trainer.global_rank]["generators"])
        else:
            log.warning(
                "The checkpoint was written by %d processes, and now there are %d: batches and "
                "random numbers differ from those of an uninterrupted run.",
                len(ranks),
                trainer.world_size,
            )
        self.resumed = None

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """End the restart after its first batch.

        Lightning ends it with the epoch, and so skips a step of the plateau schedule.
        """
        self.epoch_ended = False
        if trainer.fit_loop.restarting:
            _end_restart(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Mark checkpoints that are written from now on as those of a complete epoch."""
        self.epoch_ended = True


def _begin_next_epoch(trainer: Trainer) -> None:
    """Complete the checkpoint's epoch: with max_steps, Lightning would run it again, empty."""
    loop = trainer.fit_loop
    loop.epoch_progress.increment_completed()
    loop.epoch_loop.restarting = False
    for restarted in (loop, loop.epoch_loop, loop.epoch_loop.val_loop):
        restarted.reset_restart_stage()


def _end_restart(trainer: Trainer) -> None:
    """Clear the restart flags; while max_steps is set, Lightning's setter would set them again."""
    loop = trainer.fit_loop.epoch_loop
    max_steps, loop.max_steps = loop.max_steps, -1
    trainer.fit_loop.restarting = False
    loop.max_steps = max_steps


def _pending_plateau_value(trainer: Trainer, config: LRSchedulerConfig) -> float | None:
    """Return the value that a plateau schedule sees after an epoch's checkpoint, if any."""
    due = (trainer.current_epoch + 1) % config.frequency == 0
    if not (config.reduce_on_plateau and config.interval == "epoch" and due):
        return None
    value = trainer.callback_metrics.get(str(config.monitor))
    return None if value is None else float(value)


def _partial_metrics(module: nn.Module) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, metric in module.named_modules():
        if isinstance(metric, Metric) and metric.update_called:
            yield name, _on_cpu(metric.metric_state)


def _on_cpu(state: Any) -> Any:
    # A list is copied, because it grows further while the checkpoint is written.
    if isinstance(state, dict):
        return {name: _on_cpu(value) for name, value in state.items()}
    return [_on_cpu(value) for value in state] if isinstance(state, list) else state.cpu()


def _restore_metrics(module: nn.Module, states: dict[str, dict[str, Any]]) -> None:
    for name, state in states.items():
        metric = module.get_submodule(name)
        assert isinstance(metric, Metric)
        for attribute, value in state.items():
            setattr(metric, attribute, value)
        metric.to(metric.device)


def _generators() -> dict[str, Any]:
    """Return the state of the global generators, as plain containers and tensors."""
    # As tensors: pickling hundreds of numbers one by one takes longer than all weights.
    numpy_state: Any = np.random.get_state()  # noqa: NPY002  # the global one is the point
    version, words, next_gauss = random.getstate()
    cuda = torch.cuda.get_rng_state() if torch.cuda.is_available() else None
    return {
        "torch": torch.get_rng_state(),
        "cuda": cuda,
        "python": [version, torch.tensor(words), next_gauss],
        "numpy": [torch.from_numpy(numpy_state[1].astype(np.int64)), *numpy_state[2:]],
    }


def _restore_generators(states: dict[str, Any]) -> None:
    torch.set_rng_state(states["torch"])
    if states["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])
    version, words, next_gauss = states["python"]
    random.setstate((version, tuple(map(int, words)), next_gauss))
    words, *rest = states["numpy"]
    np.random.set_state(("MT19937", np.asarray(words), *rest))  # noqa: NPY002

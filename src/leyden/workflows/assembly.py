"""The objects of a run, built from its config."""

import inspect
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer, seed_everything
from lightning.pytorch.callbacks import LearningRateMonitor, ModelSummary, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import TorchSyncBatchNorm
from torch import nn

from leyden.checkpoints.io import SafeCheckpointIO
from leyden.config.build import build, build_all, call, class_of
from leyden.config.compose import Config
from leyden.config.origins import options_that_accept
from leyden.data.base import DataModule
from leyden.errors import UserError, did_you_mean
from leyden.strategies.synced_norm import synced
from leyden.tasks.base import Task
from leyden.workflows.hardware import fitting_precision
from leyden.workflows.hooks import leave_out_unused

log = logging.getLogger(__name__)


MATMUL_PRECISIONS = ("highest", "high", "medium")
"""Of torch.set_float32_matmul_precision."""


LEAST = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 1,
    "val_check_interval": 1e-6,
}
"""Least values of settings that Lightning does not check."""


def set_global_state(config: Config) -> None:
    """Seed every generator, and choose how exact a GPU's products of float32 are.

    Raises:
        UserError: The seed is out of bounds, or the precision unknown.
    """
    call("seed", seed_everything, seed=config.seed, workers=True, verbose=False)
    precision = config.matmul_precision
    if precision not in MATMUL_PRECISIONS:
        known = did_you_mean(precision, MATMUL_PRECISIONS)
        raise UserError(f"matmul_precision={precision} is unknown.{known}")
    torch.set_float32_matmul_precision(precision)


class SyncBatchNorm(TorchSyncBatchNorm):
    """Lets batch norms see the rows of all ranks, on the CPU too."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Replace the batch norms of a module, whose weights are where they are to train."""
        on_cpu = next(model.parameters()).device.type == "cpu"
        return synced(model) if on_cpu else super().apply(model)


def build_data(config: Config) -> DataModule:
    """Build the data module; nothing is read yet."""
    data: DataModule = build(config, "data", DataModule)
    return data


def is_sharded(config: Config) -> bool:
    """Tell whether the ranks of a run share its network out."""
    strategy = class_of(config, "trainer.strategy")
    if strategy is None:
        return False
    from leyden.strategies.sharded import Sharded  # slow to import

    return issubclass(strategy, Sharded)


def build_task(config: Config, data: DataModule, *, lazy_network: bool = False) -> Task:
    """Build the task and its network by the sizes of the data, which must be known.

    Args:
        config: the run's config.
        data: the run's data.
        lazy_network: leave the network to the trainer's strategy.

    Raises:
        UserError: the network is made for another kind of data.
    """
    factory = build(config, "task", Task)
    network = factory.keywords.get("network") if isinstance(factory, partial) else None
    if not isinstance(network, partial):
        raise UserError(
            "task and task.network: expected nodes with _partial_: true, because the sizes of the "
            "data complete their arguments."
        )
    _check_fit(network, data.spec.network_sizes)
    options = {"lazy_network": True} if lazy_network else {}
    network = partial(call, "network", network)
    task: Task = call("task", factory, spec=data.spec, network=network, **options)
    return task


def build_trainer(
    config: Config, folder: Path, *, task: Task, first: list[Callback], last: Callback
) -> Trainer:
    """Build the trainer with the config's callbacks and loggers, writing below a folder.

    Args:
        config: the run's config.
        folder: the run folder.
        task: what will be trained.
        first: callbacks that come before those of the config.
        last: the callback that comes behind all others; it writes checkpoints.

    Raises:
        UserError: what the config asks for does not work together.
    """
    _check_combinations(config)
    placed = config.copy()
    placed.run_dir = str(folder)
    precision = precision_of(config, task)
    for name, value in precision.items():
        log.info("%s: %s, by trainer.%s=auto", name, value, name)
    plugins: list[Any] = [SafeCheckpointIO()]
    if placed.trainer.get("sync_batchnorm"):
        plugins.append(SyncBatchNorm())
    loggers = build_all(placed, "logger", Logger)
    callbacks = [*first, *build_all(placed, "callbacks", Callback), last]
    if not loggers:  # which is all that it writes to
        callbacks = [each for each in callbacks if not isinstance(each, LearningRateMonitor)]
    trainer: Trainer = build(
        placed,
        "trainer",
        Trainer,
        **precision,
        **_without_lightnings_own(config, callbacks),
        callbacks=callbacks,
        plugins=plugins,
        logger=loggers,
        default_root_dir=folder,
    )
    for owner in (task, *trainer.callbacks):  # type: ignore[attr-defined]
        leave_out_unused(owner, task)
    return trainer


def _without_lightnings_own(config: Config, callbacks: list[Callback]) -> dict[str, bool]:
    """Keep Lightning from putting its own in the place of callbacks that are left out."""
    kinds = {"enable_progress_bar": ProgressBar, "enable_model_summary": ModelSummary}
    return {
        option: any(isinstance(each, kind) for each in callbacks)
        for option, kind in kinds.items()
        if option not in config.trainer
    }


def precision_of(config: Config, task: Task) -> dict[str, Any]:
    """Give the trainer's precision where the config leaves it to the machine."""
    trainer = config.trainer
    if trainer.get("precision") != "auto":
        return {}
    return {"precision": fitting_precision(task, str(trainer.accelerator))}


def _check_combinations(config: Config) -> None:
    trainer = config.trainer
    for name, least in LEAST.items():
        value = trainer.get(name)
        if isinstance(value, int | float) and value < least:
            raise UserError(f"trainer.{name}: expected at least {least}, got {value}.")
    if is_sharded(config) and trainer.get("sync_batchnorm"):
        raise UserError(
            "trainer.sync_batchnorm=true does not work with trainer=fsdp, where norms see the rows "
            "of one rank. Leave it out, or choose a network without batch norm."
        )
    if (
        trainer.get("precision") in (16, "16", "16-mixed")
        and trainer.get("gradient_clip_val")
        and config.optimizer.get("fused")
    ):
        raise UserError(
            "trainer.gradient_clip_val clips gradients before the step, but with trainer.precision="
            "16-mixed a fused optimizer scales them within it. Give optimizer.fused=false, or "
            "trainer.precision=bf16-mixed."
        )


def _check_fit(network: partial[nn.Module], sizes: Mapping[str, Any]) -> None:
    if given := sizes.keys() & network.keywords.keys():
        name = min(given)
        raise UserError(
            f"network.{name}: nothing takes this key, because the data give it as "
            f"{sizes[name]!r}. Leave it out."
        )
    try:
        inspect.signature(network).bind(**sizes)
    except TypeError as error:
        taken = inspect.signature(network.func).parameters
        fitting = " or ".join(f"network={name}" for name in options_that_accept("network", sizes))
        raise UserError(
            f"network: {network.func.__name__} takes {', '.join(taken)}, but is given "
            f"{', '.join(sizes)} by the data. Choose a network for this kind of data: "
            f"{fitting or 'none in conf/network/ is'}."
        ) from error

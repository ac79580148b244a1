"""Building the objects of a run from its config."""

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

from leyden.callbacks.idle_hooks import remove_idle_hooks
from leyden.checkpoints.io import SafeCheckpointIO
from leyden.config.build import build, build_all, call, class_of
from leyden.config.compose import Config, select, to_plain
from leyden.config.data_paths import path_keys
from leyden.config.fitting import misfit
from leyden.data.base import DataModule
from leyden.errors import UserError, did_you_mean
from leyden.strategies.synced_norm import sync_batch_norms
from leyden.tasks.base import Task
from leyden.workflows.hardware import precision_of

log = logging.getLogger(__name__)

MATMUL_PRECISIONS = ("highest", "high", "medium")
"""Precisions of ``torch.set_float32_matmul_precision``."""

SMALLEST = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "gradient_clip_val": 0,
    "log_every_n_steps": 1,
    "val_check_interval": 1e-6,
}
"""Smallest values of trainer settings that Lightning does not check."""


def set_global_state(config: Config) -> None:
    """Seed all random generators, and set the precision of float32 matrix products on a GPU.

    Raises:
        UserError: If the seed is out of range, or the precision is unknown.
    """
    call("seed", seed_everything, seed=config.seed, workers=True, verbose=False)
    precision = config.matmul_precision
    if precision not in MATMUL_PRECISIONS:
        known = did_you_mean(precision, MATMUL_PRECISIONS)
        raise UserError(f"matmul_precision={precision} is unknown.{known}")
    torch.set_float32_matmul_precision(precision)


class SyncBatchNorm(TorchSyncBatchNorm):
    """Synchronises batch norms across ranks, on the CPU too."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Replace the batch norms of a module that is on its device."""
        on_cpu = next(model.parameters()).device.type == "cpu"
        return sync_batch_norms(model) if on_cpu else super().apply(model)


def build_data(config: Config) -> DataModule:
    """Build the data module, which does not read any data yet.

    Raises:
        UserError: If the node is refused, or its cache would be among the files that it reads.
    """
    data: DataModule = build(config, "data", DataModule)
    cache = (data.cache_dir / str(data.name)).resolve()
    for key in path_keys(to_plain(config)["data"]):
        path = select(config, key)
        if isinstance(path, str) and cache.is_relative_to(Path(path).resolve()):
            raise UserError(
                f"{key}={path} contains {cache}, the folder of its own cache, which would be read "
                "as data the next time. Give another data.cache_dir or data.name."
            )
    return data


def is_sharded(config: Config) -> bool:
    """Whether a run shards its network over ranks."""
    strategy = class_of(config, "trainer.strategy")
    if strategy is None:
        return False
    from leyden.strategies.sharded import Sharded  # slow to import

    return issubclass(strategy, Sharded)


def build_task(config: Config, data: DataModule, *, lazy_network: bool = False) -> Task:
    """Build the task and its network for the sizes of the data.

    Args:
        config: The run's config.
        data: The run's data, after ``setup`` or ``load_state_dict``.
        lazy_network: Whether the trainer's strategy builds the network.

    Raises:
        UserError: If the network is for another kind of data, or an argument is refused.
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
    """Build the trainer with the config's callbacks and loggers.

    Args:
        config: The run's config.
        folder: The run folder, in which everything is written.
        task: The task to train.
        first: Callbacks before those of the config.
        last: The callback after all others; it writes checkpoints.

    Raises:
        UserError: If settings do not work together, or are refused.
    """
    _check_combinations(config)
    placed = config.copy()
    placed.run_dir = str(folder)
    precision = precision_of(config.trainer, task)
    if config.trainer.get("precision") == "auto":
        log.info("trainer.precision=auto: %s", precision)
    plugins: list[Any] = [SafeCheckpointIO()]
    if placed.trainer.get("sync_batchnorm"):
        plugins.append(SyncBatchNorm())
    loggers = build_all(placed, "logger", Logger)
    callbacks = [*first, *build_all(placed, "callbacks", Callback), last]
    if not loggers:  # LearningRateMonitor writes to nothing else
        callbacks = [each for each in callbacks if not isinstance(each, LearningRateMonitor)]
    trainer: Trainer = build(
        placed,
        "trainer",
        Trainer,
        precision=precision,
        **_enabled_displays(config, callbacks),
        callbacks=callbacks,
        plugins=plugins,
        logger=loggers,
        default_root_dir=folder,
    )
    for owner in (task, *trainer.callbacks):  # type: ignore[attr-defined]
        remove_idle_hooks(owner, task)
    return trainer


def _enabled_displays(config: Config, callbacks: list[Callback]) -> dict[str, bool]:
    """Return options that keep Lightning from adding its own progress bar or model summary."""
    kinds = {"enable_progress_bar": ProgressBar, "enable_model_summary": ModelSummary}
    return {
        option: any(isinstance(each, kind) for each in callbacks)
        for option, kind in kinds.items()
        if option not in config.trainer
    }


def _check_combinations(config: Config) -> None:
    trainer = config.trainer
    for name, smallest in SMALLEST.items():
        value = trainer.get(name)
        if isinstance(value, int | float) and value < smallest:
            raise UserError(f"trainer.{name}: expected at least {smallest}, got {value}.")
    if is_sharded(config) and trainer.get("sync_batchnorm"):
        raise UserError(
            "trainer.sync_batchnorm=true does not work with trainer=fsdp, whose batch norms see "
            "the rows of one rank. Leave it out, or choose a network without batch norm."
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
            f"network.{name}: this key is set by the data, to {sizes[name]!r}. Leave it out."
        )
    try:
        inspect.signature(network).bind(**sizes)
    except TypeError as error:
        taken = inspect.signature(network.func).parameters
        raise misfit(network.func.__name__, taken, sizes.keys()) from error

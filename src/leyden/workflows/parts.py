"""The objects of a run, built from its config."""

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.plugins import TorchSyncBatchNorm
from torch import nn

from leyden.config.build import build, build_all, call
from leyden.config.compose import Config
from leyden.data.base import DataModule
from leyden.errors import UserError
from leyden.networks.synced_norm import synced
from leyden.runs.checkpoint import SafeCheckpointIO
from leyden.tasks.base import Task


class SyncBatchNorm(TorchSyncBatchNorm):
    """Lets batch norms see the rows of all ranks, on the CPU too."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Replace the batch norms of a module, whose weights are where they are to train."""
        on_cpu = next(model.parameters()).device.type == "cpu"
        return synced(model) if on_cpu else super().apply(model)


def build_data(config: Config) -> DataModule:
    """Build the data module; nothing is read yet."""
    data: DataModule = build(config, "data")
    return data


def build_task(config: Config, data: DataModule) -> Task:
    """Build the task and its network by the sizes of the data, which must be known.

    Raises:
        UserError: the network is made for another kind of data.
    """
    factory = build(config, "task")
    _check_fit(factory.keywords["network"], data.spec.network_sizes)
    task: Task = call("network", factory, spec=data.spec)
    return task


def build_trainer(
    config: Config, folder: Path, *, first: list[Callback], last: Callback
) -> Trainer:
    """Build the trainer with the config's callbacks and loggers, writing below a folder.

    Args:
        config: the run's config.
        folder: the run folder.
        first: callbacks that come before those of the config.
        last: the callback that comes behind all others; it writes checkpoints.
    """
    placed = config.copy()
    placed.run_dir = str(folder)
    plugins: list[Any] = [SafeCheckpointIO()]
    if placed.trainer.get("sync_batchnorm"):
        plugins.append(SyncBatchNorm())
    trainer: Trainer = build(
        placed,
        "trainer",
        callbacks=[*first, *build_all(placed, "callbacks"), last],
        plugins=plugins,
        logger=build_all(placed, "logger"),
        default_root_dir=folder,
    )
    return trainer


def _check_fit(network: partial[nn.Module], sizes: Mapping[str, Any]) -> None:
    try:
        inspect.signature(network).bind(**sizes)
    except TypeError as error:
        taken = inspect.signature(network.func).parameters
        raise UserError(
            f"network: {network.func.__name__} takes {', '.join(taken)}, but is given "
            f"{', '.join(sizes)} by the data. Choose a network for this kind of data; the first "
            "line of each file in conf/network/ says what it is for."
        ) from error

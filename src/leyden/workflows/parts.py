"""The objects of a run, built from its config."""

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import nn

from leyden.config.build import build, build_all, call
from leyden.config.compose import Config
from leyden.data.base import DataModule
from leyden.errors import UserError
from leyden.runs.checkpoint import SafeCheckpointIO
from leyden.strategies.sharded import Sharded
from leyden.tasks.base import Task
from leyden.workflows.hooks import leave_out_unused


def build_data(config: Config) -> DataModule:
    """Build the data module; nothing is read yet."""
    data: DataModule = build(config, "data")
    return data


def build_task(config: Config, data: DataModule, *, lazy_network: bool = False) -> Task:
    """Build the task and its network by the sizes of the data, which must be known.

    Args:
        config: the run's config.
        data: the run's data.
        lazy_network: leave the network to the trainer's strategy.

    Raises:
        UserError: the network is made for another kind of data.
    """
    factory = build(config, "task")
    network = factory.keywords["network"]
    _check_fit(network, data.spec.network_sizes)
    options: dict[str, Any] = {"spec": data.spec}
    if lazy_network:
        options |= {"network": partial(call, "network", network), "lazy_network": True}
    task: Task = call("network", factory, **options)
    leave_out_unused(task)
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

    Raises:
        UserError: the strategy can't do what the config asks for.
    """
    placed = config.copy()
    placed.run_dir = str(folder)
    trainer: Trainer = build(
        placed,
        "trainer",
        callbacks=[*first, *build_all(placed, "callbacks"), last],
        plugins=[SafeCheckpointIO()],
        logger=build_all(placed, "logger"),
        default_root_dir=folder,
    )
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        leave_out_unused(callback)
    if isinstance(trainer.strategy, Sharded) and config.trainer.get("sync_batchnorm"):
        raise UserError(
            "trainer.sync_batchnorm=true does not work with trainer=fsdp, where norms see the rows "
            "of one rank. Leave it out, or choose a network without batch norm."
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

"""The objects of a run, built from its config."""

from pathlib import Path

from lightning.pytorch import Callback, Trainer

from leyden.config.build import build, build_all, call
from leyden.config.compose import Config
from leyden.data.base import DataModule
from leyden.tasks.base import Task


def build_data(config: Config) -> DataModule:
    """Build the data module; nothing is read yet."""
    data: DataModule = build(config, "data")
    return data


def build_task(config: Config, data: DataModule) -> Task:
    """Build the task and its network by the sizes of the data, which must be known."""
    task: Task = call("network", build(config, "task"), spec=data.spec)
    return task


def build_trainer(config: Config, folder: Path, *, extra: list[Callback]) -> Trainer:
    """Build the trainer with the config's callbacks and loggers, writing below a folder.

    Args:
        config: the run's config.
        folder: the run folder.
        extra: callbacks that come before those of the config.
    """
    placed = config.copy()
    placed.run_dir = str(folder)
    trainer: Trainer = build(
        placed,
        "trainer",
        callbacks=[*extra, *build_all(placed, "callbacks")],
        logger=build_all(placed, "logger"),
        default_root_dir=folder,
    )
    return trainer

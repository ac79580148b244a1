"""Restoring a finished run from its checkpoint, and building the trainer that runs its network."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from lightning.pytorch import Trainer

from leyden.checkpoints.io import load_checkpoint, reporting_damage
from leyden.checkpoints.record import (
    KEY,
    SPLIT_FINGERPRINT,
    Learned,
    read_config,
    read_learned,
)
from leyden.config.build import build_node
from leyden.config.check import check
from leyden.config.compose import Config, from_plain, to_plain
from leyden.config.origins import frozen_origin
from leyden.data.base import DataModule
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, find_run
from leyden.tasks.base import Task
from leyden.workflows.assembly import build_data, build_task, set_global_state
from leyden.workflows.ensemble import EnsembleData, average_networks
from leyden.workflows.hardware import precision_of

log = logging.getLogger(__name__)

NUMERICS = ("deterministic", "benchmark", "inference_mode", "detect_anomaly")
"""Settings of a run's trainer, besides its precision, that affect what the network computes."""

LIMITS = ("fast_dev_run", "overfit_batches", "limit_val_batches", "limit_test_batches")
"""Settings of a run's trainer that affect which batches are measured."""

WRITES_NOTHING = {
    "logger": False,
    "callbacks": [],
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}

LONGEST_REASON = 400
"""Maximum length in characters of torch's message about mismatched weights."""


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A trained task and its fitted data module, which has not read any data.

    Attributes:
        folder: The run's folder.
        checkpoint: The checkpoint that was read.
        config: The run's config with the overrides.
        record: The checkpoint's record of the run: its own config and fingerprints of its data.
        data: The data module with the preprocessing of the checkpoint.
        task: The task with the weights of the checkpoint; of an ensemble, its network averages.
    """

    folder: RunFolder
    checkpoint: Path
    config: Config
    record: Mapping[str, Any]
    data: DataModule | EnsembleData
    task: Task


def load_run(
    run: str, overrides: Sequence[str] = (), *, config: Config | None = None
) -> FinishedRun:
    """Restore a run from its folder or from a checkpoint.

    Args:
        run: Run folder, whose best checkpoint is read, or checkpoint.
        overrides: Changes to the run's own config.
        config: The run's own config where this command has composed it.

    Raises:
        UserError: If the run is missing, damaged or of an earlier version, the config is refused,
            or the weights do not fit the changed config.
    """
    folder, path = find_run(run)
    checkpoint = load_checkpoint(path, only=("state_dict",))
    with reporting_damage(path):
        plain, learned = read_config(checkpoint), read_learned(checkpoint)
    record = checkpoint[KEY]
    if SPLIT_FINGERPRINT not in record:
        raise UserError(
            f"{path} was written by an earlier version of Leyden, which split the data in another "
            "way. Train a new run."
        )
    if config is None:
        config = from_plain(plain, overrides, source=f"the config of {path}")
        check(config, origin=partial(frozen_origin, overrides=overrides, path=path))
    data, task = _restore(config, learned, path)
    return FinishedRun(
        folder=folder, checkpoint=path, config=config, record=record, data=data, task=task
    )


def _restore(
    config: Config, learned: Sequence[Learned], path: Path
) -> tuple[DataModule | EnsembleData, Task]:
    """Restore the network of a run, or those of an ensemble as one that averages them."""
    members = [_restore_data(config, each, path) for each in learned]
    tasks = [
        _restore_task(config, data, each, path) for data, each in zip(members, learned, strict=True)
    ]
    if len(members) == 1:
        return members[0], tasks[0]
    return EnsembleData(members), average_networks(tasks)


def _restore_data(config: Config, learned: Learned, path: Path) -> DataModule:
    data = build_data(config)
    with reporting_damage(path):
        data.load_state_dict(learned.data)
        # These are derived from the fitted statistics, and raise if those are damaged.
        data.normalisation()
        data.network_sizes()
    return data


def _restore_task(config: Config, data: DataModule, learned: Learned, path: Path) -> Task:
    task = build_task(config, data)
    try:
        task.load_state_dict(learned.weights)
    except RuntimeError as error:
        raise UserError(
            f"The weights of {path} do not fit the network of the config: "
            f"{shorten(str(error), LONGEST_REASON)}. Leave the network's own keys as they were in "
            "the run."
        ) from error
    return task


def inference_trainer(finished: FinishedRun, *, settings: Sequence[str] = NUMERICS) -> Trainer:
    """Build the trainer with which a finished run predicts and is evaluated.

    It computes in the precision of the run, in one process on one device, of the run's kind if this
    machine has one, and writes nothing. Several ranks would have to be launched, and would count
    padded rows twice. The run's loggers, profiler, callbacks, plugins and strategy are not used.

    Args:
        finished: The run.
        settings: Settings that are taken from the run's own trainer.

    Raises:
        UserError: If Lightning refuses the settings.
    """
    set_global_state(finished.config)
    config = to_plain(finished.config, resolve=True)["trainer"]
    trainer: Trainer = build_node(
        {
            "_target_": "lightning.pytorch.Trainer",
            **{key: config[key] for key in settings if isinstance(config.get(key), int | float)},
            **_one_device(config),
            **WRITES_NOTHING,
            "precision": precision_of(config, finished.task),
        },
        "trainer",
    )
    return trainer


def _one_device(config: dict[str, Any]) -> dict[str, Any]:
    """Choose one device that this machine has."""
    accelerator: Any = config.get("accelerator")
    devices: Any = config.get("devices")
    gpus = torch.cuda.device_count()
    if (accelerator in ("gpu", "cuda") and not gpus) or (
        accelerator == "mps" and not torch.mps.is_available()
    ):
        log.warning(
            "trainer.accelerator=%s is not available here: using trainer.accelerator=auto",
            accelerator,
        )
        accelerator = "auto"
    numbered = isinstance(devices, list) and gpus and accelerator != "cpu"
    return {
        "accelerator": accelerator if isinstance(accelerator, str) else "auto",
        "devices": devices[:1] if numbered else 1,
    }

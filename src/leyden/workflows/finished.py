"""A finished run, loaded again from its checkpoint alone."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from lightning.pytorch import Trainer

from leyden.callbacks.run_record import KEY, SPLIT_FINGERPRINT
from leyden.checkpoints.io import damage_told, load_checkpoint, read_learned
from leyden.config.build import build_node
from leyden.config.check import check
from leyden.config.compose import Config, from_plain, to_plain
from leyden.config.origins import frozen_origin
from leyden.data.base import DataModule
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, find_run
from leyden.tasks.base import Task
from leyden.workflows.assembly import build_data, build_task, precision_of

log = logging.getLogger(__name__)

TRAINER = {"_target_": "lightning.pytorch.Trainer"}

MEASURING = (
    *("precision", "deterministic", "benchmark", "inference_mode", "detect_anomaly"),
    *("fast_dev_run", "overfit_batches", "limit_val_batches", "limit_test_batches"),
    "use_distributed_sampler",
)
"""Settings of a run's trainer that a measurement depends on, or that help to debug it."""

Scalar = bool | int | float | str

LONGEST_REASON = 400
"""Characters of torch's list of the weights that do not fit."""


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A trained task and its fitted data module, which has not read any data.

    Attributes:
        folder: The run's folder.
        checkpoint: The checkpoint that was read.
        config: The run's config, with the changes that were asked for.
        record: What the checkpoint says of the run: its own config, and the data it learned from.
        data: The data module, with the preprocessing of the checkpoint.
        task: The task, with the weights of the checkpoint.
    """

    folder: RunFolder
    checkpoint: Path
    config: Config
    record: Mapping[str, Any]
    data: DataModule
    task: Task


def load_run(run: str, overrides: Sequence[str] = ()) -> FinishedRun:
    """Rebuild a run from a run folder or a checkpoint file.

    Args:
        run: what the user gave.
        overrides: changes to the run's own config.

    Raises:
        UserError: the run is missing or damaged, or its weights do not fit the changed config.
    """
    folder, path = find_run(run)
    checkpoint = load_checkpoint(path, only=("state_dict",))
    learned = read_learned(checkpoint, path)
    if SPLIT_FINGERPRINT not in checkpoint[KEY]:
        raise UserError(
            f"{path} was written by an earlier version of Leyden, which split the data in another "
            "way. Train a new run."
        )
    config = from_plain(learned.config, overrides, source=f"the config of {path}")
    check(config, origin=partial(frozen_origin, overrides=overrides, path=path))
    data = build_data(config)
    with damage_told(path):
        data.load_state_dict(learned.data)
        data.normalisation()  # which, like the sizes, is made of what was fitted
        data.network_sizes()
    task = build_task(config, data)
    try:
        task.load_state_dict(learned.weights)
    except RuntimeError as error:
        raise UserError(
            f"The weights of {path} do not fit the network of the config: "
            f"{shorten(str(error), LONGEST_REASON)}. Leave the network's own keys as they were in "
            "the run."
        ) from error
    return FinishedRun(
        folder=folder, checkpoint=path, config=config, record=checkpoint[KEY], data=data, task=task
    )


def single_process_trainer(finished: FinishedRun) -> Trainer:
    """Build a trainer that writes nothing, on one device of the run's kind if there is one here.

    One process counts every row once; ranks would have to be launched, and would all print. Of the
    run's own trainer only ``MEASURING`` is taken over: its loggers, profiler, callbacks, plugins
    and strategy have no part in a measurement.

    Raises:
        UserError: Lightning refuses the settings.
    """
    config = to_plain(finished.config, resolve=True)["trainer"]
    accelerator, devices = config.get("accelerator"), config.get("devices")
    gpus = torch.cuda.device_count()
    if (accelerator in ("gpu", "cuda") and not gpus) or (
        accelerator == "mps" and not torch.mps.is_available()
    ):
        log.warning("trainer.accelerator=%s is not here: taking what is", accelerator)
        accelerator = "auto"
    numbered = gpus and accelerator != "cpu" and isinstance(devices, list)
    settings = {
        **{key: config[key] for key in MEASURING if isinstance(config.get(key), Scalar)},
        **precision_of(finished.config, finished.task),
        "accelerator": accelerator if isinstance(accelerator, str) else "auto",
        "devices": devices[:1] if numbered else 1,
        "logger": False,
        "callbacks": [],
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer: Trainer = build_node(TRAINER | settings, "trainer")
    return trainer

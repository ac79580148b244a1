"""Evaluation: metrics of a finished run."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray

from leyden.callbacks.progress import EpochProgress
from leyden.checkpoints.record import DATA_FINGERPRINT, SPLIT_FINGERPRINT, describe_data_change
from leyden.config.compose import from_plain, select
from leyden.config.data_paths import path_keys
from leyden.errors import UserError
from leyden.runs.folder import RunFolder
from leyden.tasks.base import MEASURED, Stage, Task
from leyden.workflows.finished import LIMITS, NUMERICS, FinishedRun, inference_trainer, load_run

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured of a run.

    Attributes:
        folder: The run's folder.
        metrics: Metrics by stage and name, such as ``test/accuracy``.
        class_names: Names of the classes or labels; none for other targets.
        confusions: For each measured split, the number of its rows, int64: by target and predicted
            class, ``(classes, classes)``, or for each label by whether the target has it and
            whether it is predicted, ``(labels, 2, 2)``. Empty for other targets.
        is_of_own_data: Whether the rows are those of the run, not those of other or changed data.
    """

    folder: RunFolder
    metrics: Mapping[str, float]
    class_names: Sequence[str]
    confusions: Mapping[str, NDArray[np.int64]]
    is_of_own_data: bool


def evaluate(
    run: str, overrides: Sequence[str] = (), *, allow_changed_data: bool = False
) -> dict[str, float]:
    """Return the metrics of ``measure`` by stage and name, such as ``test/accuracy``."""
    return dict(measure(run, overrides, allow_changed_data=allow_changed_data).metrics)


def measure(
    run: str, overrides: Sequence[str] = (), *, allow_changed_data: bool = False
) -> Evaluation:
    """Measure a run's checkpoint on the validation and test splits of its data.

    If the overrides name other data, all of their rows are one test split.

    Args:
        run: Run folder or checkpoint.
        overrides: Changes to the run's own config; those of paths of data name other data.
        allow_changed_data: Whether the splits may differ from those that the run was trained on.

    Raises:
        UserError: If the run cannot be restored, or its data or their splits have changed since the
            run was trained on them.
    """
    finished = load_run(run, overrides)
    trainer = inference_trainer(finished, settings=NUMERICS + LIMITS)
    counts = _Confusions()
    trainer.callbacks.extend([counts, EpochProgress()])  # type: ignore[attr-defined]
    change = ""
    if other := _other_data(finished):
        log.warning("measuring all rows of %s as one test split", other)
    elif (change := _data_change(finished)) and not allow_changed_data:
        paths = " or ".join(f"{key}=PATH" for key in path_keys(finished.config.data))
        tests = f"measure all rows of other data as one test split with {paths}; or "
        raise UserError(
            f"{change} Give the data that the run had; or {tests if paths else ''}measure the "
            "splits that the data now give with changed_data=allow."
        )
    finished.data.setup("test")
    stages = {"val": trainer.validate, "test": trainer.test}
    measured = [split for split in MEASURED if len(finished.data.row_numbers(split))]
    if not measured:
        raise UserError(
            f"{finished.checkpoint} has learned from all rows of its data, so none is left to "
            "measure. Expected data.splitter.test_fraction above 0 when it was trained, or other "
            "data: data.root=PATH or data.path=FILE."
        )
    metrics: dict[str, float] = {}
    for split in measured:
        results = stages[split](finished.task, datamodule=finished.data, verbose=False)
        metrics |= only_loader(results)
    return Evaluation(
        folder=finished.folder,
        metrics=metrics,
        class_names=finished.task.spec.class_names,
        confusions=counts.found,
        is_of_own_data=not (other or change),
    )


class _Confusions(Callback):
    """Collects the confusions of each stage; callbacks are called before the task resets them."""

    def __init__(self) -> None:
        self.found: dict[str, NDArray[np.int64]] = {}

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._count(pl_module, "val")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._count(pl_module, "test")

    def _count(self, task: LightningModule, stage: Stage) -> None:
        assert isinstance(task, Task)
        if (counts := task.confusion(stage)) is not None:
            self.found[stage] = counts.cpu().numpy()


def only_loader(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the metrics of the only loader; there are none if a limit leaves it no batch."""
    return dict(results[0]) if results else {}


def _other_data(finished: FinishedRun) -> str:
    """Make all rows the test split if a key names other data; return the keys with their values."""
    before, now = from_plain(finished.record["config"]), finished.config
    changed = [key for key in path_keys(now.data) if select(now, key) != select(before, key)]
    if not changed:
        return ""
    data = finished.data
    data.tests_all_rows = True
    data.prepare_data()
    if data.fingerprint() == finished.record[DATA_FINGERPRINT]:  # the run's data under another path
        data.tests_all_rows = False
        return ""
    return ", ".join(f"{key}={select(now, key)}" for key in changed)


def _data_change(finished: FinishedRun) -> str:
    """Return how the data differ from those of the run; an empty string if they do not."""
    data = finished.data
    data.prepare_data()
    data.setup("test")
    return describe_data_change(
        finished.record,
        {DATA_FINGERPRINT: data.fingerprint(), SPLIT_FINGERPRINT: data.split_fingerprint()},
    )

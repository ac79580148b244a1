"""Evaluation: metrics of a finished run."""

import logging
from collections.abc import Mapping, Sequence

from leyden.checkpoints.record import DATA_FINGERPRINT, SPLIT_FINGERPRINT, describe_data_change
from leyden.config.compose import from_plain, select
from leyden.config.data_paths import path_keys
from leyden.errors import UserError
from leyden.tasks.base import MEASURED
from leyden.workflows.finished import LIMITS, NUMERICS, FinishedRun, inference_trainer, load_run

log = logging.getLogger(__name__)


def evaluate(
    run: str, overrides: Sequence[str] = (), *, allow_changed_data: bool = False
) -> dict[str, float]:
    """Measure a run's checkpoint on the validation and test splits of its data.

    If the overrides name other data, all of their rows are one test split.

    Args:
        run: Run folder or checkpoint.
        overrides: Changes to the run's own config; those of paths of data name other data.
        allow_changed_data: Whether the splits may differ from those that the run was trained on.

    Returns:
        Metrics by stage and name, such as ``test/accuracy``.

    Raises:
        UserError: If the run cannot be restored, or its data or their splits have changed since the
            run was trained on them.
    """
    finished = load_run(run, overrides)
    trainer = inference_trainer(finished, settings=NUMERICS + LIMITS)
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
        measure = stages[split]
        metrics |= only_loader(measure(finished.task, datamodule=finished.data, verbose=False))
    return metrics


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

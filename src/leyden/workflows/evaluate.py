"""Evaluate: metrics of a finished run."""

import logging
from collections.abc import Mapping, Sequence

from leyden.callbacks.run_record import DATA_FINGERPRINT, SPLIT_FINGERPRINT, data_change
from leyden.config.compose import PATHS_OF_DATA, from_plain, select
from leyden.errors import UserError
from leyden.workflows.assembly import set_global_state
from leyden.workflows.finished import FinishedRun, load_run, single_process_trainer

log = logging.getLogger(__name__)


def evaluate(
    run: str, overrides: Sequence[str] = (), *, allow_changed_data: bool = False
) -> dict[str, float]:
    """Measure a run's checkpoint on the validation and test splits of its data.

    If the overrides name other data, all of their rows are one test split.

    Args:
        run: a run folder or a checkpoint file.
        overrides: changes to the run's own config, such as ``data.root`` for other data.
        allow_changed_data: Measure the splits of data that are no longer those of the run.

    Returns:
        Metrics by stage and name.

    Raises:
        UserError: The data or their splits have changed since the run learned from them.
    """
    finished = load_run(run, overrides)
    set_global_state(finished.config)
    trainer = single_process_trainer(finished)
    stages = [trainer.validate, trainer.test]
    if other := _other_data(finished):
        log.warning("measuring all rows of %s as one test split", other)
        stages = [trainer.test]
    elif (change := _data_change(finished)) and not allow_changed_data:
        raise UserError(
            f"{change} Give the data that the run had; or measure all rows of other data as one "
            "test split with data.root=PATH or data.path=FILE; or measure the splits that the data "
            "now give with changed_data=allow."
        )
    metrics: dict[str, float] = {}
    for measure in stages:
        metrics |= measured(measure(finished.task, datamodule=finished.data, verbose=False))
    return metrics


def measured(results: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the metrics of the only loader; there are none if a limit leaves it no batch."""
    return dict(results[0]) if results else {}


def _other_data(finished: FinishedRun) -> str:
    """Take all rows for the test if a key names other data; return the keys with their values."""
    before, now = from_plain(finished.record["config"]), finished.config
    changed = [key for key in PATHS_OF_DATA if select(now, key) != select(before, key)]
    if not changed:
        return ""
    data = finished.data
    data.tests_all_rows = True
    data.prepare_data()
    if data.fingerprint() == finished.record[DATA_FINGERPRINT]:  # the data of the run, elsewhere
        data.tests_all_rows = False
        return ""
    return ", ".join(f"{key}={select(now, key)}" for key in changed)


def _data_change(finished: FinishedRun) -> str:
    data = finished.data
    data.prepare_data()
    data.setup()
    return data_change(
        finished.record,
        {DATA_FINGERPRINT: data.fingerprint(), SPLIT_FINGERPRINT: data.split_fingerprint()},
    )

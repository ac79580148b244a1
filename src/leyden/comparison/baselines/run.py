"""Fitting baselines to the data of a config, and measuring them on its splits or folds."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from leyden.comparison.baselines.models import (
    Examples,
    Predictor,
    Problem,
    fit_constant,
    fit_linear,
)
from leyden.comparison.results import SWEEP
from leyden.config.compose import Config, from_plain, save, to_plain
from leyden.data.base import DataModule
from leyden.data.features import Features  # noqa: TC001  # in a local annotation
from leyden.data.rows import Split
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, write_json
from leyden.workflows.assembly import build_data, set_global_state
from leyden.workflows.crossval import (
    count_rows,
    ensemble_config,
    list_folds,
    mean_metrics,
    write_folds,
)
from leyden.workflows.outputs import measure_outputs, task_of_outputs

log = logging.getLogger(__name__)

KEY = "model"
"""Key of the baseline's name among the overrides of its job."""

Fit = Callable[[Problem], Predictor]


class Measurement(NamedTuple):
    """How good a baseline is.

    Attributes:
        metrics: Metrics by stage and name.
        mode: Whether lower (``min``) or higher (``max``) values of the monitored one are better,
            if known.
        seconds: Time of the fit and of the measurement.
    """

    metrics: dict[str, float]
    mode: str | None
    seconds: float


def baselines() -> dict[str, Fit]:
    """Return the baselines by name; those of scikit-learn if it is installed."""
    plain: dict[str, Fit] = {"constant": fit_constant, "linear": fit_linear}
    try:
        from leyden.comparison.baselines import scikit_learn
    except ModuleNotFoundError as error:
        if error.name not in ("sklearn", "scipy"):
            raise
        log.warning(
            "gradient boosting and nearest neighbours are left out, because scikit-learn is not "
            "installed. To add them: pip install 'leyden[baselines]'"
        )
        return plain
    return plain | {
        "gradient_boosting": scikit_learn.fit_gradient_boosting,
        "nearest_neighbours": scikit_learn.fit_nearest_neighbours,
    }


def run_baselines(config: Config, path: Path, *, folds: int | None, repeats: int = 1) -> None:
    """Measure each baseline, and write a folder for each, in the format of the jobs of a sweep.

    Args:
        config: Frozen and checked config.
        path: Folder of the folders.
        folds: Number of folds; ``None`` for the validation and test splits of the config.
        repeats: How often the rows are divided into folds.

    Raises:
        UserError: If the targets of the data are sequences, or their kind has no features.
    """
    fits = baselines()
    if folds is not None:
        config = ensemble_config(config, folds=folds, repeats=repeats)
    write_json(path / SWEEP, {"swept": {KEY: list(fits)}})
    folders = {name: RunFolder(path / name) for name in fits}
    with ExitStack() as states:
        notes = {}
        for number, (name, folder) in enumerate(folders.items()):
            folder.path.mkdir(exist_ok=True)
            folder.write_job({KEY: name}, number=number)
            _save(config, name, folder)
            notes[name] = states.enter_context(folder.record_state())
        runs = [] if folds is None else list_folds(config, RunFolder(path), repeats=repeats)
        sizes = [count_rows(run) for run in runs]
        results = [_measure_all(run.config, fits, str(run)) for run in runs]
        results = results or [_measure_all(config, fits, "baselines")]
        for name, folder in folders.items():
            metrics = [result[name].metrics for result in results]
            if runs:
                write_json(folder.crossval, {"folds": folds, "repeats": repeats})
                write_folds(folder, runs, sizes, metrics)
            for run, result in zip(runs, results, strict=False):
                own = RunFolder(folder.path / run.folder.path.name)
                own.path.mkdir(exist_ok=True)
                _save(run.config, name, own)
                write_json(own.metrics, result[name].metrics)
                own.write_status("finished", **_status(result[name]))
            write_json(folder.metrics, mean_metrics(metrics))
            notes[name].update(_status(results[0][name]))


def _status(measured: Measurement) -> dict[str, Any]:
    # The baselines are open together, so their folders cannot tell how long each took.
    return {"mode": measured.mode, "seconds": round(measured.seconds, 3)}


def _save(config: Config, name: str, folder: RunFolder) -> None:
    """Write what was measured, with a key that no run has: `resume=auto` must not continue it."""
    save(from_plain(to_plain(config) | {KEY: name}, own=True), folder.config)


def _measure_all(config: Config, fits: Mapping[str, Fit], title: str) -> dict[str, Measurement]:
    found = {}
    for name, measured in measure_baselines(config, fits):
        test = {key: value for key, value in measured.metrics.items() if "test/" in key}
        shown = ", ".join(f"{key} {value:.4f}" for key, value in test.items())
        log.info("%s: %s: %s", title, name, shown)
        found[name] = measured
    return found


def measure_baselines(config: Config, fits: Mapping[str, Fit]) -> Iterator[tuple[str, Measurement]]:
    """Fit each baseline on the training split, and measure it on validation and test.

    Args:
        config: Frozen and checked config, of which the data, the task and the seed are used.
        fits: Baselines by name.

    Yields:
        The name of a baseline, and what was measured.

    Raises:
        UserError: If the targets of the data are sequences, or their kind has no features.
    """
    set_global_state(config)
    data = build_data(config)
    data.prepare_data()
    data.setup()
    problem = _problem(data, seed=config.seed)
    measured: list[tuple[Split, Features]] = [
        ("val", problem.val.features),
        ("test", data.features("test")),
    ]
    task = task_of_outputs(config, data)
    mode = config.mode or task.modes.get(config.monitor)
    for name, fit in fits.items():
        start = perf_counter()
        predict = fit(problem)
        outputs = {split: predict(rows) for split, rows in measured if len(rows)}
        metrics = measure_outputs(task, data, outputs)
        yield name, Measurement(metrics, mode, perf_counter() - start)


def _problem(data: DataModule, *, seed: int) -> Problem:
    kind = data.target_counts["kind"]
    if kind == "sequence" or "num_outputs" not in data.network_sizes():
        raise UserError(
            f"Baselines predict classes, labels or numbers, but the targets of {data.name} are "
            "sequences. Choose other data."
        )
    return Problem(
        kind=kind,
        num_outputs=len(data.class_names or ()) or 1,
        train=_examples(data, "train"),
        val=_examples(data, "val"),
        seed=seed,
    )


def _examples(data: DataModule, split: Split) -> Examples:
    counts = data.target_counts
    targets = data.centred_targets(split)
    if counts["kind"] == "number":
        # as in Regression.step
        targets = (targets[:, None] - counts["mean"]) / (counts["std"] or 1.0)
    elif counts["kind"] == "labels":
        targets = targets.float()
    return Examples(features=data.features(split), targets=targets)

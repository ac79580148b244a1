"""Cross-validation: train and test on every fold, then one ensemble of all."""

import csv
import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import torch

from leyden.checkpoints.io import SafeCheckpointIO
from leyden.checkpoints.record import DATA_FINGERPRINT, KEY, MEMBERS, SPLIT_FINGERPRINT
from leyden.config.check import LARGEST_SEED
from leyden.config.compose import Config, from_plain, to_plain
from leyden.config.options import read_option
from leyden.data.base import DataModule
from leyden.errors import UserError
from leyden.files import open_aside
from leyden.monitor import out_of_fold
from leyden.printable import cell, predicted_cell
from leyden.runs.fixed_keys import claim
from leyden.runs.folder import RunFolder, write_json
from leyden.runs.provenance import provenance, record_provenance
from leyden.workflows.assembly import build_data
from leyden.workflows.finished import FinishedRun, inference_trainer, load_run
from leyden.workflows.start import start

log = logging.getLogger(__name__)

TrainFold = Callable[[Config, RunFolder], None]
"""Trains a config in a run folder, as ``start`` does; pickled for other processes."""


SHARED = ("seed", "test_fraction", "val_fraction")
"""Keys that ``KFold`` takes over from the splitter whose place it takes."""


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One run of a cross-validation.

    Attributes:
        repeat: Number of the repetition, from 0.
        fold: Number of the fold that the run is tested on, from 0.
        config: Frozen config of the run.
        folder: Folder of the run.
    """

    repeat: int
    fold: int
    config: Config
    folder: RunFolder

    def __str__(self) -> str:
        return self.folder.path.name


def crossval(
    config: Config,
    folder: RunFolder,
    *,
    repeats: int = 1,
    jobs: int = 1,
    train_fold: TrainFold = start,
) -> dict[str, float]:
    """Start a cross-validation in a folder, or continue the one that is in it.

    Runs that have finished are not trained again, and interrupted ones are resumed.

    Args:
        config: Config of the ensemble, see ``ensemble_config``.
        folder: Folder of the cross-validation, in which each run has a folder of its own.
        repeats: How often the rows are divided into folds.
        jobs: Processes that train runs side by side.
        train_fold: Trains one run.

    Returns:
        Mean of each metric over all runs, by stage and name; ``test`` is the fold left out.

    Raises:
        UserError: If the config or the data are refused, or a run fails because of them.
        InterruptedRunError: If a run was stopped; the cross-validation can be continued.
    """
    folds = list_folds(config, folder, repeats=repeats)
    with folder.held(), folder.record_state() as notes:
        record_provenance(folder)
        sizes = [count_rows(fold) for fold in folds]
        _train(folds, jobs, train_fold)
        metrics = [fold.folder.read_metrics() for fold in folds]
        write_folds(folder, folds, sizes, metrics)
        means = mean_metrics(metrics)
        write_json(folder.metrics, means)
        notes["warnings"] = _predict_and_average(config, folder, folds)
    for warning in notes["warnings"]:
        log.warning(warning)
    return means


def ensemble_config(config: Config, *, folds: int | None = None, repeats: int = 1) -> Config:
    """Return the config of which each fold differs in the fold alone.

    It keeps a splitter that has folds, and exchanges any other for ``KFold``, which then has the
    same seed and shares.

    Args:
        config: A frozen config.
        folds: Number of folds; by default that of the splitter.
        repeats: How often the rows are divided into folds.

    Raises:
        UserError: If the data module takes no splitter.
    """
    # Without links: if the seed of the splitter were that of the run, folds would overlap.
    splitter = to_plain(config, resolve=True)["data"].get("splitter")
    if splitter is None:
        raise UserError(
            "data.splitter is missing, so there is nothing that divides the rows into folds. "
            "Expected data=OPTION whose class takes a splitter, as those of Leyden do."
        )
    needed = {"folds", "fold"} | ({"repeat"} if repeats > 1 else set())
    if not needed <= set(splitter):
        log.info("data/splitter=kfold takes the place of %s", splitter["_target_"])
        kept = {key: splitter[key] for key in SHARED if key in splitter}
        splitter = read_option("data/splitter/kfold") | kept
    return _changed(config, splitter | {"folds": folds or splitter["folds"], "fold": None})


def list_folds(config: Config, folder: RunFolder, *, repeats: int) -> list[Fold]:
    """List the runs of a cross-validation, each with a seed of its own.

    Args:
        config: Config of the ensemble.
        folder: Folder of the cross-validation.
        repeats: How often the rows are divided into folds.
    """
    splitter = to_plain(config)["data"]["splitter"]
    count = int(splitter["folds"])

    def fold_of(repeat: int, fold: int) -> Fold:
        place = {"fold": fold} | ({"repeat": repeat} if repeats > 1 else {})
        seed = (config.seed + repeat * count + fold) % (LARGEST_SEED + 1)
        name = f"repeat-{repeat}-fold-{fold}" if repeat else f"fold-{fold}"
        return Fold(
            repeat=repeat,
            fold=fold,
            config=_changed(config, splitter | place, seed=seed),
            folder=RunFolder(folder.path / name),
        )

    return [fold_of(repeat, fold) for repeat in range(repeats) for fold in range(count)]


def _changed(config: Config, splitter: Mapping[str, Any], **others: Any) -> Config:
    """Copy a config with another splitter and other values of top-level keys."""
    plain = to_plain(config)
    data = plain["data"] | {"splitter": dict(splitter)}
    return from_plain(plain | others | {"data": data}, own=True)


def count_rows(fold: Fold) -> dict[str, int]:
    """Prepare the data and count the rows of each split, before anything is trained."""
    data = build_data(fold.config)
    data.prepare_data()
    try:
        data.split_rows()
    except UserError as error:
        raise UserError(f"{fold}: {error}") from error
    return {f"n_{split}": len(data.row_numbers(split)) for split in ("train", "test")}


def _train(folds: Sequence[Fold], jobs: int, train_fold: TrainFold) -> None:
    unfinished = [fold for fold in folds if not _is_finished(fold)]
    if len(unfinished) < len(folds):
        log.info("%d of %d runs have finished before", len(folds) - len(unfinished), len(folds))
    if jobs == 1:
        trained = _in_turn(unfinished, train_fold)
    else:
        trained = _side_by_side(unfinished, jobs, train_fold)
    for fold in trained:
        metrics = fold.folder.read_metrics()
        name = out_of_fold(fold.config.monitor)
        log.info("%s: %s %.4f", fold, name, metrics.get(name, math.nan))


def _is_finished(fold: Fold) -> bool:
    """Claim the folder of a run; whether the run in it has finished."""
    fold.folder.path.mkdir(parents=True, exist_ok=True)
    whole = RunFolder(fold.folder.path.parent)
    fold.folder.write_job(whole.read_job().get("overrides", {}))
    is_there = claim(fold.folder, fold.config)
    has_ended = fold.folder.read_status().get("state") == "finished"
    return is_there and has_ended and bool(fold.folder.read_metrics())


def _in_turn(folds: Sequence[Fold], train_fold: TrainFold) -> Iterator[Fold]:
    for fold in folds:
        train_fold(fold.config, fold.folder)
        yield fold


def _side_by_side(folds: Sequence[Fold], jobs: int, train_fold: TrainFold) -> Iterator[Fold]:
    """Train runs in processes of joblib, which divides the cores among them."""
    try:
        from joblib import Parallel, delayed
    except ImportError as error:
        raise UserError(
            f"jobs={jobs} needs joblib, which is not installed: pip install 'leyden[launchers]', "
            "or leave jobs out."
        ) from error

    def train(number: int, fold: Fold) -> int:
        train_fold(fold.config, fold.folder)
        return number

    run = Parallel(n_jobs=jobs, backend="loky", return_as="generator_unordered")
    for number in run(delayed(train)(number, fold) for number, fold in enumerate(folds)):
        yield folds[number]


def write_folds(
    folder: RunFolder,
    folds: Sequence[Fold],
    sizes: Sequence[Mapping[str, int]],
    metrics: Sequence[Mapping[str, float]],
) -> None:
    """Write ``folds.csv``: one row per run, with the counts of its training and test rows."""
    names = _names(metrics)
    with open_aside(folder.folds) as stream:
        stream.write(_line(["repeat", "fold", "seed", *sizes[0], *names]))
        for fold, size, values in zip(folds, sizes, metrics, strict=True):
            place = [fold.repeat, fold.fold, fold.config.seed, *size.values()]
            stream.write(_line([*place, *(values.get(name, math.nan) for name in names)]))


def mean_metrics(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over all runs; NaN if it is undefined in one of them."""
    return {
        name: sum(values.get(name, math.nan) for values in metrics) / len(metrics)
        for name in _names(metrics)
    }


def _names(metrics: Sequence[Mapping[str, float]]) -> list[str]:
    return sorted(set[str]().union(*metrics))


def _predict_and_average(config: Config, folder: RunFolder, folds: Sequence[Fold]) -> list[str]:
    """Write the out-of-fold predictions and the ensemble; return why one could not be made."""
    try:
        runs = [load_run(str(fold.folder.path), config=fold.config) for fold in folds]
    except UserError as error:
        return [f"There is neither oof.csv nor an ensemble: {error}"]
    warnings = []
    # The ensemble first, because predicting changes the tasks.
    try:
        runs[0].task.averaging([run.task.spec for run in runs])
    except UserError as error:
        warnings.append(f"There is no ensemble of the runs: {error}")
    else:
        _write_ensemble(config, folder, runs)
    if runs[0].task.predicts_targets:
        _write_predictions(folder, folds, runs)
    else:
        kind = type(runs[0].task).__name__
        warnings.append(f"There is no oof.csv: {kind} has no targets to compare predictions with.")
    return warnings


def _write_predictions(
    folder: RunFolder, folds: Sequence[Fold], runs: Sequence[FinishedRun]
) -> None:
    """Write ``oof.csv``: one line per row of the folds, by repetition and number of the row."""
    header, lines = "", []
    for fold, run in zip(folds, runs, strict=True):
        for number, row in _predict(fold, run):
            header = header or _line(map(cell, row))
            lines.append(
                (fold.repeat, number, _line(itertools.starmap(predicted_cell, row.items())))
            )
    with open_aside(folder.predictions) as stream:
        stream.write(header)
        stream.writelines(line for _, _, line in sorted(lines))


def _predict(fold: Fold, run: FinishedRun) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number of each row of a fold, and what the run that did not learn it predicts."""
    data, task = run.data, run.task
    assert isinstance(data, DataModule)
    data.prepare_data()
    data.split_rows("test")
    task.every_probability = True
    loader: Any = data.predict_dataloader()
    numbers = torch.cat([rows for _, rows in loader.order]).numpy()
    targets = iter(zip(numbers.tolist(), data.readable_targets(numbers), strict=True))
    batches: Any = inference_trainer(run).predict(task, datamodule=data)
    for columns in map(data.readable, batches):
        for values in zip(*columns.values(), strict=True):
            number, target = next(targets)
            known = {"source": data.cached.sources[number], "repeat": fold.repeat}
            known |= {"fold": fold.fold, "target": target}
            yield number, known | dict(zip(columns, values, strict=True))


def _write_ensemble(config: Config, folder: RunFolder, runs: Sequence[FinishedRun]) -> None:
    """Write one checkpoint that holds the preprocessing and the weights of all runs."""
    members = [
        {"data": run.data.state_dict(), "state_dict": dict(run.task.state_dict())} for run in runs
    ]
    whole = build_data(config)
    whole.load_state_dict(members[0]["data"])
    whole.prepare_data()
    whole.split_rows("test")
    record = {
        "config": to_plain(config),
        "class_names": list(runs[0].task.spec.class_names),
        DATA_FINGERPRINT: whole.fingerprint(),
        SPLIT_FINGERPRINT: whole.split_fingerprint(),
        MEMBERS: members,
        **provenance(),
    }
    SafeCheckpointIO().save_checkpoint({KEY: record}, folder.best)


def _line(cells: Iterable[Any]) -> str:
    """Format a line of CSV."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()

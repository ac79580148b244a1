"""Intervals of the metrics of a cross-validation."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from leyden.comparison.statistics import Estimate, Replicate, summarise
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, read_json, write_json

INTERVALS = "intervals.json"
"""File in the folder of a cross-validation with the interval of each metric."""

NOT_METRICS = ("repeat", "fold", "seed", "n_train", "n_test")
"""Columns of ``folds.csv`` before those of the metrics."""


def write_intervals(folder: RunFolder) -> dict[str, Estimate]:
    """Compute the interval of each metric from ``folds.csv``, and write ``intervals.json``.

    Args:
        folder: Folder of a cross-validation whose runs have finished.

    Returns:
        An estimate by the name of the metric.

    Raises:
        UserError: If ``folds.csv`` is missing or damaged.
    """
    try:
        rows = _read_complete(folder)
        ratio = test_ratio(rows)
        names = [name for name in rows[0] if name not in NOT_METRICS]
        scores = {name: _scores(rows, name) for name in names}
    except (OSError, LookupError, TypeError, ValueError, ZeroDivisionError, csv.Error) as error:
        raise UserError(
            f"{folder.folds} is damaged: {error!r}. Remove {folder.status} and give `leyden "
            f"crossval run={folder.path}`, which writes it again from the folds."
        ) from error
    estimates = {name: summarise(each, test_ratio=ratio) for name, each in scores.items()}
    write_json(folder.path / INTERVALS, {name: asdict(each) for name, each in estimates.items()})
    return estimates


def read_rows(folder: RunFolder) -> list[dict[str, str]]:
    """Read ``folds.csv``: a row per run, with the number of its training and test rows."""
    with folder.folds.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_ratio(rows: Sequence[Mapping[str, str]]) -> float:
    """Return the number of test rows per training row of all runs, as ``summarise`` takes it."""
    return sum(int(row["n_test"]) for row in rows) / sum(int(row["n_train"]) for row in rows)


def _read_complete(folder: RunFolder) -> list[dict[str, str]]:
    rows = read_rows(folder)
    plan = read_json(folder.crossval)
    if len(rows) != (expected := plan["folds"] * plan["repeats"]):
        raise ValueError(f"it has {len(rows)} rows, not {expected:g}")
    return rows


def _scores(rows: Sequence[Mapping[str, str]], name: str) -> dict[Replicate, float]:
    return {
        Replicate(fold=int(row["fold"]), repeat=int(row["repeat"])): float(row[name] or math.nan)
        for row in rows
    }


def as_text(estimates: Mapping[str, Estimate]) -> str:
    """Format one line per metric: mean, standard deviation over the folds, and interval."""
    width = max(map(len, estimates), default=0)
    return "\n".join(
        f"  {name:<{width}}  {each.mean:.4f} ± {each.deviation:.4f}"
        f"  95 % interval {each.low:.4f} to {each.high:.4f}"
        for name, each in estimates.items()
    )

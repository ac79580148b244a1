"""Results of runs, cross-validations and sweeps, read from their folders."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leyden.comparison.folds import read_rows, test_ratio
from leyden.comparison.statistics import Replicate
from leyden.config.compose import read_plain
from leyden.errors import UserError
from leyden.monitor import Mode, out_of_fold
from leyden.runs.folder import RunFolder, read_json

SWEEP = "sweep.json"
"""File in the folder of a sweep that names the swept keys."""

FOLD = re.compile(r"(?:repeat-(\d+)-)?fold-(\d+)")
"""Name of the folder of a run in a cross-validation."""

SEED = "seed"

MODES: Mapping[str, Mode] = {"min": "min", "max": "max"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run, or one cross-validation, was and measured.

    Attributes:
        path: Folder of the run.
        name: Name of the folder; of a job that an earlier run stands in for, the job's name.
        number: Place in the sweep, from 0; ``None`` outside a sweep.
        overrides: Values by key or group that the sweep gave; outside a sweep, the command.
        seed: Seed of the config; ``None`` if the config was refused.
        fold: Fold that the run was tested on; ``None`` outside a cross-validation.
        repeat: Repeat of the cross-validation that the fold belongs to.
        state: State of the run, ``"missing"`` before its start.
        error: Why it ended, unless it finished.
        seconds: Running time without pauses.
        monitor: Metric that the run is judged by: the monitored one, and of a cross-validation
            its counterpart on the folds left out.
        mode: Whether lower (``min``) or higher (``max``) values of it are better, if known.
        metrics: Final metrics by stage and name; of a cross-validation, their means.
        folds: Runs of a cross-validation, in order; empty for a run.
        test_ratio: Rows that a fold was tested on per row that it was trained on; 0 for a run.
    """

    path: Path
    name: str
    number: int | None
    overrides: Mapping[str, Any]
    seed: int | None
    fold: int | None
    repeat: int
    state: str
    error: str | None
    seconds: float
    monitor: str | None
    mode: Mode | None
    metrics: Mapping[str, float]
    folds: tuple["Result", ...]
    test_ratio: float

    @property
    def is_finished(self) -> bool:
        """Whether the run ended by itself, and was measured."""
        return self.state == "finished"

    @property
    def value(self) -> float | None:
        """The final value of the monitored metric; ``None`` if it was not measured."""
        return None if self.monitor is None else self.metrics.get(self.monitor)

    def scores(self, metric: str) -> dict[Replicate, float]:
        """Return a metric of each finished run, as ``statistics.summarise`` takes it."""
        runs = self.folds or (self,)
        return {
            Replicate(fold=each.fold or 0, repeat=each.repeat, seed=self.seed or 0): value
            for each in runs
            if each.is_finished and (value := each.metrics.get(metric)) is not None
        }

    def config(self) -> dict[str, Any]:
        """Read the frozen config as flat, dotted keys; links are kept as they are written."""
        return dict(_flat(_read_config(RunFolder(self.path))))

    def history(self) -> list[dict[str, float]]:
        """Read the metrics of each epoch; cells of what an epoch did not measure are left out.

        It is empty if the file is missing or damaged.
        """
        file = self.path / "metrics.csv"
        with suppress(OSError, ValueError, TypeError, csv.Error):
            if file.is_file():  # not a pipe, which would never end
                with file.open(newline="", encoding="utf-8") as stream:
                    rows = list(csv.DictReader(stream))
                return [{k: float(v) for k, v in row.items() if v} for row in rows]
        return []


def is_sweep(path: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (path / SWEEP).is_file()


def swept_keys(path: Path) -> list[str]:
    """Return the swept keys of a sweep, in the order in which they were given."""
    swept = read_json(path / SWEEP).get("swept")
    return list(swept) if isinstance(swept, dict) else []


def read_results(path: Path) -> list[Result]:
    """Read the results of a sweep, or the one of a run or a cross-validation.

    Args:
        path: Folder of any of them.

    Raises:
        UserError: If it is not such a folder.
    """
    if is_sweep(path):
        jobs = [folder.parent for folder in path.glob("*/job.json")]
        results = [read_result(job) for job in jobs]
        return sorted(results, key=lambda each: (each.number is None, each.number, each.name))
    folder = RunFolder(path)
    if not any(file.is_file() for file in (folder.config, folder.job)):
        raise UserError(
            f"{path} is not the folder of a run, a cross-validation or a sweep. Expected a folder "
            "below runs/ as `leyden train` or `leyden crossval` left it."
        )
    return [read_result(path)]


def read_result(path: Path) -> Result:
    """Read the result of a run or a cross-validation.

    Args:
        path: Its folder, or that of a job that an earlier run stands in for.
    """
    job = RunFolder(path).read_job()
    folder = RunFolder((path / job["run"]).resolve() if "run" in job else path)
    config, status, folds = _read_config(folder), folder.read_status(), _read_folds(folder)
    overrides, monitor = job.get("overrides", {}), _get(config, "monitor", str)
    found = FOLD.fullmatch(folder.path.name) or FOLD.fullmatch(path.name)
    return Result(
        path=folder.path,
        name=path.name,
        number=_get(job, "number", int),
        overrides=overrides,
        seed=_get({**overrides, **config}, SEED, int),
        fold=int(found[2]) if found else None,
        repeat=int(found[1] or 0) if found else 0,
        state=str(status.get("state", "missing")),
        error=status.get("error") and str(status["error"]),
        seconds=sum(each.seconds for each in folds) or _get(status, "seconds", float, int) or 0.0,
        monitor=out_of_fold(monitor) if folds and monitor else monitor,
        mode=next((each.mode for each in folds if each.mode), MODES.get(str(status.get("mode")))),
        metrics=folder.read_metrics(),
        folds=folds,
        test_ratio=_test_ratio(folder, folds),
    )


def _get(content: Mapping[str, Any], key: str, *kinds: type) -> Any:
    """Return a value of one of these types; ``None`` for any other, as a damaged file has."""
    value = content.get(key)
    return value if isinstance(value, kinds) else None


def _read_folds(folder: RunFolder) -> tuple[Result, ...]:
    """Read the runs of a cross-validation; nothing for a run."""
    folders = folder.path.glob("*fold-*") if folder.crossval.is_file() else ()
    folds = [read_result(each) for each in folders if FOLD.fullmatch(each.name)]
    return tuple(sorted(folds, key=lambda each: (each.repeat, each.fold)))


def _test_ratio(folder: RunFolder, folds: Sequence[Result]) -> float:
    """Return the test rows per training row of a cross-validation."""
    with suppress(OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        return test_ratio(read_rows(folder))
    count = len({each.fold for each in folds})
    return 1 / (count - 1) if count > 1 else 0.0


def _read_config(folder: RunFolder) -> dict[str, Any]:
    """Read a frozen config; empty if there is none, or it is damaged."""
    with suppress(UserError):
        return read_plain(folder.config)
    return {}


def _flat(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value

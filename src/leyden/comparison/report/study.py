"""What a report is about: the results in a folder, ranked beside the baselines of the same data."""

import os
import re
import shlex
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from math import isnan
from pathlib import Path
from typing import Any, Literal

from leyden.comparison.results import SWEEP, Result, is_sweep, read_results, swept_keys
from leyden.comparison.statistics import LEVEL, Estimate, compare, holm
from leyden.comparison.table import Row, as_word, rank
from leyden.config.compose import read_plain, without_places
from leyden.config.shorthands import quote
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, read_json

BASELINES = "-baselines"
"""End of the name of a folder of baselines."""

OF_SWEEPS = ("seeds", "retries", "dry_run", "resume", "jobs")
"""Keys of commands that do not change what one job trains."""

OF_CROSSVAL = ("folds", "repeats")
"""Keys of ``leyden crossval`` that are no keys of the config."""

PLAIN = re.compile(r"(?!(?:true|false|null|nan|inf)$)[A-Za-z_][\w./-]*", re.IGNORECASE)
"""Text that Hydra reads as itself without quotes."""

Kind = Literal["sweep", "crossval", "run"]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a row is from the best one.

    Attributes:
        estimate: Mean of this row minus the best, paired by fold and seed.
        p_value: Of no difference, adjusted by Holm for all jobs, or all baselines, that are
            compared with the best; NaN if there are too few pairs.
    """

    estimate: Estimate
    p_value: float

    @property
    def verdict(self) -> Literal["noise", "differs", "untested"]:
        """Whether the difference can be told from noise at the level of 5 %."""
        if isnan(self.p_value):
            return "untested"
        return "differs" if self.p_value < 1 - LEVEL else "noise"


@dataclass(frozen=True, kw_only=True)
class Study:
    """A sweep, a cross-validation or a run.

    Attributes:
        path: Its folder.
        kind: Which of them it is.
        results: Its results, in the order in which they were started.
        baselines: Results of the baselines of the same data.
    """

    path: Path
    kind: Kind
    results: Sequence[Result]
    baselines: Sequence[Result]

    @cached_property
    def all_rows(self) -> list[Row]:
        """The points of the sweep and the baselines, the best first."""
        return rank([*self.results, *self.baselines])

    @cached_property
    def rows(self) -> list[Row]:
        """The points of the sweep, the best first."""
        return [row for row in self.all_rows if not self.is_baseline(row)]

    def is_baseline(self, row: Row) -> bool:
        """Whether a row holds a baseline."""
        return any(row.results[0] is each for each in self.baselines)

    @cached_property
    def best(self) -> Row | None:
        """The best point; ``None`` if none was measured."""
        return next((row for row in self.rows if row.monitor in row.metrics), None)

    @cached_property
    def keys(self) -> list[str]:
        """The swept keys and groups, without the seed, in the order in which they were given."""
        found = {key for row in self.rows for key in row.overrides}
        given = [key for key in swept_keys(self.path) if key in found]
        return [*given, *sorted(found - set(given))] if self.kind == "sweep" else []

    @cached_property
    def default(self) -> Row | None:
        """The point whose swept keys have the values that they have without the sweep."""
        defaults = read_json(self.path / SWEEP).get("defaults")
        if not isinstance(defaults, dict) or not self.keys:
            return None
        wanted = {key: defaults.get(key) for key in self.keys}
        return next((row for row in self.rows if dict(row.overrides) == wanted), None)

    def difference_of(self, row: Row) -> Difference | None:
        """Return how far another row is from the best one; ``None`` for the best one."""
        return self._differences.get(id(row))

    @cached_property
    def _differences(self) -> dict[int, Difference]:
        """How far each row is from the best, by its identity."""
        if self.best is None:
            return {}
        found: dict[int, Difference] = {}
        # Baselines are a family of their own: to measure them must not change what is said of jobs.
        baselines = [row for row in self.all_rows if self.is_baseline(row)]
        for rows in (self.rows, baselines):
            others = [row for row in rows if row is not self.best]
            estimates = [difference(row, self.best) for row in others]
            adjusted = holm([each.p_value for each in estimates])
            for row, estimate, p in zip(others, estimates, adjusted, strict=True):
                found[id(row)] = Difference(estimate=estimate, p_value=p)
        return found

    @property
    def mode(self) -> str | None:
        """Whether lower (``min``) or higher (``max``) values are better, if it is known."""
        return next((each.mode for each in self.results if each.mode), None)


def difference(row: Row, other: Row, metric: str | None = None) -> Estimate:
    """Estimate the mean of a metric of one row minus that of another.

    Args:
        row: Minuend.
        other: Subtrahend; also decides which metric is monitored.
        metric: Name of the metric; ``None`` for the monitored one.
    """
    name = metric or other.monitor
    ratio = max(row.test_ratio, other.test_ratio)
    return compare(row.scores(name), other.scores(name), test_ratio=ratio)


def read_study(path: Path) -> Study:
    """Read what is in a folder, and the baselines in the folders beside it.

    Raises:
        UserError: If it is not the folder of a run, a cross-validation or a sweep.
    """
    results = read_results(path)
    kind: Kind = "run"
    if is_sweep(path):
        kind = "sweep"
    elif RunFolder(path).crossval.is_file():
        kind = "crossval"
    if not results:
        raise UserError(f"{path} is the folder of a sweep, but holds no jobs yet. Run it first.")
    return Study(path=path, kind=kind, results=results, baselines=_read_baselines(path, results))


def _read_baselines(path: Path, results: Sequence[Result]) -> list[Result]:
    """Read the newest measurement of each baseline on the same data and splits."""
    wanted = [measured for each in results if (measured := _measured(each)) is not None]
    found: dict[str, Result] = {}
    for folder in sorted(path.resolve().parent.glob(f"*{BASELINES}")):
        with suppress(UserError):
            for each in read_results(folder):
                if each.is_finished and _measured(each) in wanted and path.resolve() != folder:
                    found[str(each.overrides.get("model", each.name))] = each
    return list(found.values())


def _measured(result: Result) -> tuple[Any, str | None] | None:
    """Return what makes values comparable: data, splits and metric; ``None`` if it is unknown."""
    with suppress(UserError):
        data = without_places(read_plain(RunFolder(result.path).config)).get("data")
        return (data, result.monitor) if isinstance(data, Mapping) else None
    return None


def repeat_command(study: Study, result: Result) -> list[str] | None:
    """Return the words that train a result again, without the sweep that it was a job of.

    ``None`` if they are unknown: an earlier run may stand in for a job.
    """
    words = _command(result)
    if result.number is None or words is None:
        return words
    if study.kind == "sweep" and (words := sweep_command(study)) is None:
        return None
    marks = {_key(word): word[: len(word) - len(word.lstrip("+"))] for word in words}
    own = [f"{marks.get(key, '')}{key}={_word(value)}" for key, value in result.overrides.items()]
    return [*_shared(words, result.overrides), *own]


def default_overrides(study: Study) -> list[str] | None:
    """Return the overrides of the command of a sweep that all jobs have; ``None`` if unknown."""
    words = sweep_command(study)
    return words and _shared(words[2:], {*swept_keys(study.path), *OF_CROSSVAL})


def sweep_command(study: Study) -> list[str] | None:
    """Return the command of a sweep, as its own jobs recorded it; ``None`` if none did."""
    own = (_command(each) for each in study.results if each.path.parent == study.path)
    return next((words for words in own if words), None)


def _command(result: Result) -> list[str] | None:
    """Read the command that started a result, in words."""
    command = read_json(RunFolder(result.path).provenance).get("command")
    with suppress(ValueError):
        words = shlex.split(command) if isinstance(command, str) else []
        return words if len(words) > 1 else None
    return None


def _shared(words: Iterable[str], swept: Container[str]) -> list[str]:
    """Return the words that are left without a sweep."""
    return [
        word
        for word in words
        if word not in ("-m", "--multirun")
        and (key := _key(word)) not in swept
        and key not in OF_SWEEPS
        and not key.startswith("hydra")
    ]


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _word(value: Any) -> str:
    if isinstance(value, str) and not PLAIN.fullmatch(value):
        return quote(value)
    return as_word(value)


def relative(path: Path) -> str:
    """Return a path as it is given in a command here."""
    return os.path.relpath(path)

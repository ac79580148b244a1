"""The runs, cross-validations and sweeps below a folder, and the best ones among them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leyden.checkpoints.record import SPLIT_FINGERPRINT
from leyden.comparison.results import Result, is_sweep, read_result, read_results
from leyden.runs.failed_starts import has_results, is_running
from leyden.runs.folder import RunFolder

FAILED_START = "failed start"
"""State of a run that ended before it had a checkpoint or metrics."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run, a cross-validation or a sweep.

    Attributes:
        path: Its folder.
        results: Its result, or those of the jobs of a sweep.
        state: State of the run; of a sweep, how many of its jobs have finished.
        size: Bytes of all files in the folder.
    """

    path: Path
    results: Sequence[Result]
    state: str
    size: int

    @property
    def seconds(self) -> float:
        """Running time of all jobs, without pauses."""
        return sum(each.seconds for each in self.results)

    @property
    def best(self) -> Result | None:
        """The best measured result, or the first one if it is unknown which values are better."""
        return best_of(self.results)


def list_entries(folder: Path) -> list[Entry]:
    """List what is below a folder by path, which orders the runs of one name by their start.

    The folder may be that of a sweep, or of a cross-validation, of which the jobs are listed then.
    """
    found = [_entry(path) for path in _folders(folder, is_top=True)]
    return sorted(found, key=lambda each: each.path)


def best_of(results: Sequence[Result]) -> Result | None:
    """Return the best finished result by the monitored metric; ``None`` if none was measured."""
    measured = [each for each in results if each.is_finished and _is_number(each.value)]
    return min(measured, key=_badness, default=None)


def comparable(entries: Sequence[Entry]) -> Iterator[tuple[str, list[Result]]]:
    """Yield the best results of entries of one name that measured one metric on the same rows.

    Yields:
        Path of the folder around the runs, and the results, of which there are several.
    """
    groups: dict[tuple[Path, object, object, object], list[Result]] = {}
    for entry in entries:
        if (best := entry.best) and best.mode:
            rows = RunFolder(best.path).read_status().get(SPLIT_FINGERPRINT)
            group = (entry.path.parent, best.monitor, best.mode, rows)
            groups.setdefault(group, []).append(best)
    for (folder, *_), results in groups.items():
        if len(results) > 1:
            yield folder.name, results


def _badness(result: Result) -> float:
    assert result.value is not None
    return {"min": result.value, "max": -result.value}.get(result.mode or "", 0.0)


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _folders(folder: Path, *, is_top: bool = False) -> Iterator[Path]:
    """Yield the folders of runs, cross-validations and sweeps, but not those inside of them."""
    own = RunFolder(folder)
    holds_runs = is_sweep(folder) or own.crossval.is_file()
    is_entry = holds_runs or any(each.is_file() for each in (own.config, own.status, own.job))
    if is_entry and not (is_top and holds_runs):
        yield folder
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and not path.name.startswith("."):
            yield from _folders(path)


def _entry(path: Path) -> Entry:
    results = read_results(path) if is_sweep(path) else [read_result(path)]
    state = _count(results) if is_sweep(path) else _state(path, results[0])
    size = sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
    return Entry(path=path, results=results, state=state, size=size)


def _state(path: Path, result: Result) -> str:
    """Return the state of a run; one that was killed could not record it."""
    folder = RunFolder(path)
    if result.state == "missing":
        return "not started"
    if result.state == "running" and is_running(folder):
        return "running"
    if result.state != "finished" and not has_results(result.path):
        return FAILED_START
    return "killed" if result.state == "running" else result.state


def _count(results: Sequence[Result]) -> str:
    finished = sum(each.is_finished for each in results)
    return f"{finished} of {len(results)} jobs"

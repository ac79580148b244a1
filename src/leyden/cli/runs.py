"""``leyden runs``: lists runs, names the best, and removes failed starts."""

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from leyden.cli.arguments import split
from leyden.comparison.listing import Entry, best_of, comparable, list_entries
from leyden.comparison.results import Result
from leyden.comparison.table import aligned
from leyden.errors import UserError, did_you_mean, near
from leyden.printable import printable
from leyden.runs.failed_starts import is_failed_start, remove
from leyden.runs.folder import RUNS, RunFolder

USAGE = """usage: leyden runs [path=runs] [sort=[-]KEY] [clean=failed]

Lists the runs, cross-validations and sweeps below a folder: their states, the final values of the
monitored metrics, how long they took, and their sizes. Names the best of the runs of one name.

  path=FOLDER   another folder, or a sweep or a cross-validation, to list its jobs
  sort=KEY      sort by time, size or a metric such as test/accuracy, lowest first; sort=-KEY:
                highest first
  clean=failed  remove the folders of runs that failed before they had a checkpoint or metrics,
                and print their names; sweeps, and folders with files of yours, are kept"""

FACTS: dict[str, Callable[[Entry], float]] = {
    "time": lambda entry: entry.seconds,
    "size": lambda entry: entry.size,
}
"""Keys to sort by, besides metrics."""

UNITS = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def run(words: Sequence[str]) -> None:
    """Run the command.

    Raises:
        UserError: If an argument is not understood, or the folder does not exist.
    """
    arguments = split(words, "path", "sort", "clean")
    arguments.refuse_bare()
    if arguments.overrides:
        raise UserError(
            f"{arguments.overrides[0]} is not understood. Expected for example: leyden runs "
            "path=runs/digits sort=-test/accuracy"
        )
    if (cleaned := arguments.one("clean")) not in (None, "failed"):
        raise UserError(f"clean={cleaned} is unknown. Expected clean=failed.")
    folder = _folder(arguments.one("path"))
    entries = list_entries(folder)
    if cleaned:
        _clean(entries)
    elif entries:
        print(printable(_listed(entries, arguments.one("sort"))))
    else:
        print(f"no runs in {os.path.relpath(folder)}")


def _folder(given: str | None) -> Path:
    folder = Path(given or RUNS).expanduser()
    if folder.is_dir():
        return folder
    if given is None:
        raise UserError(
            f"The folder {RUNS} does not exist here. Run the command where runs were started, or "
            "path=FOLDER."
        )
    beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
    hint = near(folder.name, (each.name for each in beside))
    raise UserError(f"path={given} is not a folder. Expected one that holds runs.{hint}")


def _clean(entries: Sequence[Entry]) -> None:
    failed = [entry for entry in entries if is_failed_start(RunFolder(entry.path))]
    for entry in failed:
        remove(RunFolder(entry.path))
        print(printable(f"removed {os.path.relpath(entry.path)}"))
    print(
        f"failed starts removed: {len(failed)}; runs and sweeps kept: {len(entries) - len(failed)}"
    )


def _listed(entries: Sequence[Entry], sort: str | None) -> str:
    """Format a table of entries, and a line for the best of those that can be compared."""
    metric = None if sort is None or sort.lstrip("-") in FACTS else sort.lstrip("-")
    lines = [["run", "state", "metric", "", "time", "size"]]
    lines += [
        [
            os.path.relpath(entry.path),
            entry.state,
            *_measured(entry, metric),
            _duration(entry.seconds),
            _size(entry.size),
        ]
        for entry in _sorted(entries, sort)
    ]
    best = [_best(name, results) for name, results in comparable(entries)]
    return "\n".join([aligned(lines), *([""] if best else []), *best])


def _sorted(entries: Sequence[Entry], sort: str | None) -> Sequence[Entry]:
    """Sort by a key; those that lack it come last.

    Raises:
        UserError: If no run has the metric.
    """
    if sort is None:
        return entries
    key, sign = sort.removeprefix("-"), -1 if sort.startswith("-") else 1
    values = {
        each.path: FACTS[key](each) if key in FACTS else _value(each, key) for each in entries
    }
    if all(map(math.isnan, values.values())):
        known = {name for each in entries for result in each.results for name in result.metrics}
        raise UserError(f"sort={sort} is unknown.{did_you_mean(key, {*FACTS, *known})}")

    def order(entry: Entry) -> float:
        value = values[entry.path]
        return math.inf if math.isnan(value) else sign * value

    return sorted(entries, key=order)


def _value(entry: Entry, metric: str) -> float:
    """Return a metric of the best result of an entry; NaN if it was not measured."""
    best = entry.best
    return math.nan if best is None else best.metrics.get(metric, math.nan)


def _measured(entry: Entry, metric: str | None) -> tuple[str, str]:
    """Return the name and the value of a metric, by default the monitored one."""
    name = metric or (entry.best.monitor if entry.best else None) or ""
    value = _value(entry, name)
    return ("", "") if math.isnan(value) else (name, f"{value:.4g}")


def _best(name: str, results: Sequence[Result]) -> str:
    best = best_of(results)
    assert best is not None
    value = f"{best.monitor} {best.value:.4g}"
    return f"best of {name} by {value}: {os.path.relpath(best.path)}"


def _duration(seconds: float) -> str:
    """Format a running time.

    >>> _duration(12.34), _duration(3725)
    ('12.3 s', '1 h 02 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _size(count: int) -> str:
    """Format a number of bytes.

    >>> _size(999), _size(1_234_567)
    ('999 B', '1.2 MB')
    """
    unit, factor = next((each for each in UNITS if count >= each[1]), ("B", 1))
    return f"{count} B" if unit == "B" else f"{count / factor:.1f} {unit}"

"""The ranked table of several results, in a terminal and as CSV."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from leyden.comparison.results import SEED, Result
from leyden.comparison.statistics import Estimate, Replicate, summarise
from leyden.files import open_aside

RANKING = "ranking.csv"
"""File of the ranking in the folder of a sweep."""

SHOWN = 20
"""Rows that a terminal shows; the file has all."""

GAP = "  "


@dataclass(frozen=True, kw_only=True)
class Row:
    """One point of a sweep, measured with one or more seeds or folds.

    Attributes:
        overrides: Swept values by key or group, but for the seed.
        results: The results of this point.
        monitor: Name of the monitored metric.
        metrics: For each metric, its mean over seeds and folds, and an interval.
    """

    overrides: Mapping[str, Any]
    results: Sequence[Result]
    monitor: str
    metrics: Mapping[str, Estimate]

    @property
    def finished(self) -> list[Result]:
        """The results that were measured."""
        return [each for each in self.results if each.is_finished]

    def scores(self, metric: str) -> dict[Replicate, float]:
        """Return a metric of each finished run, as ``statistics.compare`` takes it."""
        scores: dict[Replicate, float] = {}
        for each in self.finished:
            scores |= each.scores(metric)
        return scores

    @property
    def test_ratio(self) -> float:
        """Rows that a fold was tested on per row that it was trained on; 0 for runs."""
        return max((each.test_ratio for each in self.results), default=0.0)

    @property
    def seconds(self) -> float:
        """Running time of all results together."""
        return sum(each.seconds for each in self.results)


def rank(results: Sequence[Result]) -> list[Row]:
    """Group results by all overrides but the seed, and order them by the monitored metric.

    Args:
        results: Results of runs or of cross-validations.

    Returns:
        The best row first, by the mean; those that were not measured last. If it is unknown
        whether lower or higher values are better, the order of the results is kept.
    """
    groups: dict[str, list[Result]] = {}
    for each in results:
        groups.setdefault(json.dumps(_point(each), sort_keys=True), []).append(each)
    modes = {each.mode for each in results if each.mode}
    sign = {"min": 1.0, "max": -1.0}.get(modes.pop(), 0.0) if len(modes) == 1 else 0.0

    def order(row: Row) -> float:
        mean = row.metrics[row.monitor].mean if row.monitor in row.metrics else math.nan
        return math.inf if math.isnan(mean) else sign * mean

    return sorted(map(_row, groups.values()), key=order)


def _point(result: Result) -> dict[str, Any]:
    return {key: value for key, value in result.overrides.items() if key != SEED}


def _row(results: Sequence[Result]) -> Row:
    row = Row(
        overrides=_point(results[0]),
        results=results,
        monitor=next((each.monitor for each in results if each.monitor), ""),
        metrics={},
    )
    estimates = {
        name: summarise(row.scores(name), test_ratio=row.test_ratio)
        for name in _names(row.finished)
    }
    return replace(row, metrics=estimates)


def _names(results: Sequence[Result]) -> list[str]:
    return sorted({name for each in results for name in each.metrics})


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write one line per row: rank, overrides, numbers of runs, seconds, and every metric.

    A metric has three columns: its mean, and the ends of its 95 % interval, which are empty for a
    single run.
    """
    keys = list(dict.fromkeys(key for row in rows for key in row.overrides))
    names = _names([each for row in rows for each in row.finished])
    header = [f"{name}{end}" for name in names for end in ("", " low", " high")]
    with open_aside(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["rank", *keys, "finished", "failed", "seconds", *header])
        for place, row in enumerate(rows, 1):
            counts = [len(row.finished), len(row.results) - len(row.finished)]
            values = [row.overrides.get(key, "") for key in keys]
            writer.writerow(
                [place, *map(as_word, values), *counts, row.seconds, *_cells(row, names)]
            )


def _cells(row: Row, names: Sequence[str]) -> list[str]:
    """Return mean, low and high of every metric, exactly; empty if there is none."""
    found = [row.metrics.get(name) for name in names]
    values = [
        each for one in found for each in ((one.mean, one.low, one.high) if one else [math.nan] * 3)
    ]
    return ["" if math.isnan(value) else repr(value) for value in values]


def as_text(rows: Sequence[Row]) -> str:
    """Format the ranking for a terminal; of a single point, all of its metrics."""
    if len(rows) == 1 and rows[0].finished:
        return _text_of_point(rows[0])
    keys = list(dict.fromkeys(key for row in rows for key in row.overrides))
    monitor = next((row.monitor for row in rows if row.monitor), "monitored metric")
    header = ["", *keys, "runs", monitor, "95 % interval", "seconds"]
    body = [
        [
            str(place),
            *(as_word(row.overrides.get(key, "")) for key in keys),
            _count(row),
            *_mean_and_interval(row.metrics.get(row.monitor)),
            f"{row.seconds:.1f}",
        ]
        for place, row in enumerate(rows[:SHOWN], 1)
    ]
    more = f"\n… and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return aligned([header, *body]) + more


def _text_of_point(row: Row) -> str:
    body = [[name, *_mean_and_interval(estimate)] for name, estimate in row.metrics.items()]
    return aligned([["", f"mean of {_count(row)}", "95 % interval"], *body])


def _count(row: Row) -> str:
    """Return the number of runs, those of cross-validations included, and of failures."""
    runs = sum(len(each.folds) or 1 for each in row.finished)
    failed = len(row.results) - len(row.finished)
    return f"{runs}, {failed} failed" if failed else str(runs)


def _mean_and_interval(estimate: Estimate | None) -> list[str]:
    if estimate is None:
        return ["", ""]
    interval = "" if math.isnan(estimate.low) else f"{estimate.low:.4g} to {estimate.high:.4g}"
    return [f"{estimate.mean:.4g}", interval]


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Pad the cells of every column to the same width."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join(padded)


def as_word(value: Any) -> str:
    """Return an overridden value as it is written in a command.

    >>> as_word(["default", "ema", None, 0.5])
    '[default,ema,null,0.5]'
    """
    if isinstance(value, list):
        return f"[{','.join(map(as_word, value))}]"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

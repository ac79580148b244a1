"""Whether the best config of a sweep beats the default one, after both ran with new seeds.

The best was chosen by the values that it reached, so that these are too good by chance.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from leyden.comparison.report.html import Cell, Section, Table, Text
from leyden.comparison.report.pictures import number
from leyden.comparison.report.study import Study, difference
from leyden.comparison.report.wording import equals, interval, p_value, plural
from leyden.comparison.results import Result, read_result
from leyden.comparison.statistics import LEVEL, Estimate
from leyden.comparison.table import Row, rank

FOLDER = "confirmation"
"""Folder below that of the sweep; its runs are no jobs of the sweep."""

DEFAULT = "default"
"""Beginning of the names of the folders of the default config."""


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """Two configs with the same new seeds.

    Attributes:
        best: Runs of the best config of the sweep.
        default: Runs of the default config.
        mode: Whether lower (``min``) or higher (``max``) values are better, if it is known.
    """

    best: Row
    default: Row
    mode: str | None

    @property
    def difference(self) -> Estimate:
        """Mean of the best minus the default, paired by seed."""
        return difference(self.best, self.default)


def new_seeds(study: Study, count: int) -> list[int]:
    """Return seeds that no run of a study has had, those of folds included."""
    runs = [run for each in study.results for run in (each, *each.folds)]
    used = {run.seed for run in runs if isinstance(run.seed, int)}
    width = max((len(each.folds) for each in study.results), default=0) or 1
    first = max(used, default=-1) + 1
    return [first + width * place for place in range(count)]


def best_name(study: Study) -> str:
    """Return the name of the best config, which says which job of the sweep has it."""
    assert study.best is not None
    return f"job-{study.best.results[0].number}"


def run_folder(study: Study, name: str, seed: int) -> Path:
    """Return the folder of a run with a new seed.

    Args:
        study: The sweep.
        name: ``best_name`` or ``DEFAULT``.
        seed: The seed.
    """
    return study.path / FOLDER / f"{name},seed={seed}"


def read_confirmation(study: Study) -> Confirmation | None:
    """Read the runs with new seeds of the best config and the default one, if there are any."""
    if study.best is None:
        return None
    best, default = (_read(study, name) for name in (best_name(study), DEFAULT))
    if not (best and default):
        return None
    return Confirmation(best=rank(best)[0], default=rank(default)[0], mode=study.mode)


def _read(study: Study, name: str) -> list[Result]:
    folders = (study.path / FOLDER).glob(f"{name},seed=*/job.json")
    return [read_result(folder.parent) for folder in sorted(folders)]


def confirmation_section(confirmation: Confirmation) -> Section:
    """Compare the best config and the default one by their new runs."""
    best, default = confirmation.best, confirmation.default
    names = [name for name in best.metrics if name in default.metrics]
    rows = [_compared(confirmation, name) for name in names if not name.startswith("train/")]
    text = (
        "Both configs were trained again with seeds that the sweep has not had, because the best "
        "was chosen by the values in the ranking. The differences are paired by seed, and their "
        "p-values are not adjusted for the number of metrics."
    )
    header = ["", "best", "default", "best minus default", "95 % interval", "p"]
    table = Table(header=header, rows=rows)
    return Section(title="Best against default", blocks=[Text(text=text), table])


def _compared(confirmation: Confirmation, name: str) -> list[Cell]:
    found = difference(confirmation.best, confirmation.default, name)
    means = [row.metrics[name].mean for row in (confirmation.best, confirmation.default)]
    return [
        name,
        *map(number, means),
        number(found.mean),
        interval(found),
        p_value(found.p_value),
    ]


def describe(confirmation: Confirmation) -> str:
    """Say in a sentence whether the best config beats the default one."""
    found = confirmation.difference
    runs = min(len(confirmation.best.finished), len(confirmation.default.finished))
    seeds = plural(runs, "new seed")
    if math.isnan(found.mean):
        return "The runs with new seeds of the best and the default config were not measured."
    sign = {"min": -1.0, "max": 1.0}.get(confirmation.mode or "", 0.0)
    said = f"{found.mean:+.3g} in {confirmation.best.monitor}"
    if math.isnan(found.p_value):
        return f"With {seeds} the best config differs from the default by {said}; more are needed."
    tail = f"{said}, 95 % interval {interval(found)}, p {equals(found.p_value)}"
    if found.p_value >= 1 - LEVEL:
        return f"With {seeds} the best config cannot be told from the default ({tail})."
    verb = "beats" if sign * found.mean > 0 else "is worse than"
    return f"With {seeds} the best config {verb if sign else 'differs from'} the default ({tail})."

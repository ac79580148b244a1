"""The sections that every report has: ranking, curves, parameters, cost, failures, checklist."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from shlex import join
from typing import Any

from leyden.comparison.report.checklist import checklist, memory_lines, peak_memory
from leyden.comparison.report.failures import failing_line
from leyden.comparison.report.html import (
    Badge,
    Block,
    Cell,
    Code,
    Facts,
    Pictures,
    Section,
    Table,
    Text,
)
from leyden.comparison.report.pictures import (
    SHADES,
    Axis,
    Curve,
    Dot,
    Point,
    Svg,
    axis_of,
    draw_curves,
    draw_interval,
    draw_parallel,
    draw_slice,
    number,
    word,
)
from leyden.comparison.report.study import Study, relative, repeat_command
from leyden.comparison.report.wording import duration, interval, p_value, size, words
from leyden.comparison.results import Result
from leyden.comparison.table import Row
from leyden.runs.folder import RunFolder

LONGEST_TABLE = 200
"""Rows of a ranking that the page shows; the CSV file has all."""

SHOWN = 0.8
"""Share of the points, the best ones, that the axis of the ranking has room for."""

MOST_CURVES = 60
"""Runs whose learning curves are drawn, those of the best rows first."""

MOST_PANELS = 6
"""Metrics whose learning curves are drawn."""

MOST_AXES = 12
"""Swept keys that parallel coordinates show."""

VERDICTS = {
    "noise": "within noise",
    "differs": "differs",
    "untested": "unknown",
}

TONES = {"best": "best", "default": "default config", "other": "others"}
"""Classes of colours, with their names in legends."""

Drawn = tuple[str, str, list[dict[str, float]]]
"""Tone, label and epochs of a learning curve."""


def metrics(study: Study) -> Section:
    """List the metrics of a run, or the means of a cross-validation with their intervals."""
    found = study.best.metrics if study.best and study.kind != "sweep" else {}
    if all(math.isnan(each.low) for each in found.values()):
        header, rows = ["", ""], [[name, number(each.mean)] for name, each in found.items()]
    else:
        header = ["", "mean", "standard deviation", "95 % interval"]
        rows = [
            [name, number(each.mean), number(each.deviation), interval(each)]
            for name, each in found.items()
        ]
    return Section(title="Metrics", blocks=[Table(header=header, rows=rows)] if found else [])


def ranking(study: Study) -> Section:
    """Rank the points of a sweep, or one run, beside the baselines of the same data."""
    if study.kind != "sweep" and len(study.all_rows) == 1:
        return Section(title="Ranking", blocks=[])
    rows = study.all_rows[:LONGEST_TABLE]
    axis = _interval_axis(study)
    monitor = study.best.monitor if study.best else "monitored metric"
    header = ["", "", *(study.keys or ["model"]), "runs", monitor, ""]
    header += ["minus best", "p", "verdict", "95 % interval", "time", "memory"]
    table = Table(
        header=header,
        rows=[_ranked(study, place, row, axis) for place, row in enumerate(rows, 1)],
        tones=[_row_tone(study, row) for row in rows],
    )
    return Section(title="Ranking", blocks=[*_explain(study), table])


def _explain(study: Study) -> Iterator[Block]:
    text = (
        "Intervals are of Student's t over seeds; over folds, whose training rows overlap, they "
        "are widened as Nadeau and Bengio (2003) derive. Each row is compared with the best one "
        "by the corrected resampled t-test, paired by fold and seed; p is adjusted by Holm for "
        "their number, and from 0.05 a difference is called noise."
    )
    if len(study.all_rows) > 1:
        yield Text(text=text)
    if len(study.all_rows) > LONGEST_TABLE:
        hidden = len(study.all_rows) - LONGEST_TABLE
        yield Text(text=f"{hidden} more rows are in ranking.csv.")


def _interval_axis(study: Study) -> Axis | None:
    """Return an axis for the better part of the points, so that their differences can be seen."""
    found = [row.metrics[row.monitor] for row in study.rows if row.monitor in row.metrics]
    found = [each for each in found if math.isfinite(each.mean)]
    shown = [each.mean for each in found[: math.ceil(len(found) * SHOWN)]]
    if not shown:
        return None
    # The intervals of two runs may be so long that they would hide all others.
    spread = max(shown) - min(shown) or abs(shown[0]) * 0.1 or 1.0
    ends = [
        end
        for each in found
        for end in (each.low, each.high)
        if min(shown) - spread / 2 <= end <= max(shown) + spread / 2
    ]
    return axis_of([*shown, *ends], start=8, end=124)


def _ranked(study: Study, place: int, row: Row, axis: Axis | None) -> list[Cell]:
    estimate = row.metrics.get(row.monitor)
    tone = tone_of(study, row)
    cells: list[Cell] = [str(place), _mark(study, row), *_config(study, row), _runs(row)]
    if estimate is None:
        cells += ["-", *[""] * 5]
    else:
        ends = estimate.low, estimate.high
        picture = draw_interval(estimate.mean, *ends, axis, tone=tone) if axis else ""
        cells += [number(estimate.mean), picture, *_against_best(study, row), interval(estimate)]
    return [
        *cells,
        duration(row.seconds),
        " + ".join(map(size, peak_memory(row.finished).values())),
    ]


def _config(study: Study, row: Row) -> list[str]:
    """Return the swept values, or the name of a model if none were swept."""
    if study.is_baseline(row):
        name = str(row.overrides.get("model", row.results[0].name))
        return [name, *[""] * (len(study.keys) - 1)]
    if not study.keys:
        return [f"this {study.kind}"]
    return [word(row.overrides[key]) if key in row.overrides else "" for key in study.keys]


def _runs(row: Row) -> str:
    count = sum(len(each.folds) or 1 for each in row.finished)
    failed = len(row.results) - len(row.finished)
    return f"{count}, {failed} failed" if failed else str(count)


def _against_best(study: Study, row: Row) -> list[Cell]:
    found = study.difference_of(row)
    if found is None or math.isnan(found.estimate.mean):
        return ["", "", ""]
    mean = f"{found.estimate.mean:+.3g}"
    return [mean, p_value(found.p_value), Badge(text=VERDICTS[found.verdict], tone=found.verdict)]


def _mark(study: Study, row: Row) -> Cell:
    if study.is_baseline(row):
        return Badge(text="baseline", tone="noise")
    tone = tone_of(study, row)
    if not row.finished:
        return Badge(text=row.results[0].state, tone="failed")
    if tone == "best" and study.default is row:
        return Badge(text="best, default", tone="best")
    return "" if tone == "other" else Badge(text=tone, tone=tone)


def _row_tone(study: Study, row: Row) -> str:
    return "baseline" if study.is_baseline(row) else tone_of(study, row)


def tone_of(study: Study, row: Row) -> str:
    """Return ``best``, ``default`` or ``other``."""
    if row is study.best:
        return "best"
    return "default" if row is study.default else "other"


def curves(study: Study) -> Section:
    """Draw the metrics of each epoch of each run."""
    drawn = list(islice(_histories(study), MOST_CURVES))
    panels = {
        name: svg
        for name in _plotted(study, [history for _, _, history in drawn])
        if (svg := _draw_metric(name, drawn))
    }
    legend = _legend(tone for tone, _, _ in drawn) if study.kind == "sweep" else {}
    blocks: list[Block] = [Pictures(panels=panels, legend=legend)] if panels else []
    return Section(title="Learning curves", blocks=blocks)


def _histories(study: Study) -> Iterator[Drawn]:
    """Yield the tone, the label and the epochs of each run that has any; the best ones first."""
    for row in sorted(study.rows, key=lambda row: list(TONES).index(tone_of(study, row))):
        for result in row.results:
            for run in result.folds or (result,):
                label = f"{words(row.overrides)} seed={run.seed}"
                label += f" {run.name}" if result.folds else ""
                if history := run.history():
                    yield tone_of(study, row), label, history


def _legend(tones: Iterable[str]) -> dict[str, str]:
    present = set(tones)
    return {name: tone for tone, name in TONES.items() if tone in present}


def _draw_metric(name: str, drawn: Sequence[Drawn]) -> Svg | None:
    found = [
        Curve(
            points=[(row.get("epoch", math.nan), row[name]) for row in history if name in row],
            label=label,
            tone=tone,
        )
        for tone, label, history in reversed(drawn)  # the best ones on top
    ]
    return draw_curves(found, name=name)


def _plotted(study: Study, histories: Iterable[Sequence[Mapping[str, float]]]) -> list[str]:
    """Return the metrics that are worth a picture: the monitored one, losses, and the others."""
    measured = {name for rows in histories for row in rows for name in row}
    monitor = study.best.monitor if study.best else ""
    first = [f"val/{monitor.partition('/')[2]}", monitor, "train/loss", "val/loss"]
    names = [name for name in dict.fromkeys([*first, *sorted(measured)]) if name in measured]
    return [name for name in names if name.startswith(("train/", "val/"))][:MOST_PANELS]


def parameters(study: Study) -> Section:
    """Draw the monitored metric against each swept key, and all of them side by side."""
    rows = [row for row in study.rows if row.monitor in row.metrics]
    blocks: list[Block] = []
    panels = {key: svg for key in study.keys if (svg := _draw_key(study, rows, key))}
    if panels:
        legend = _legend(tone_of(study, row) for row in rows)
        blocks.append(Text(text=f"{rows[0].monitor} of each run against each swept key."))
        blocks.append(Pictures(panels=panels, legend=legend))
    if len(study.keys) > 1 and len(rows) > 1:
        blocks.append(_parallel(study, rows))
    return Section(title="Parameters", blocks=blocks)


def _draw_key(study: Study, rows: Sequence[Row], key: str) -> Svg | None:
    return draw_slice(_dots(study, rows, lambda each: each.overrides.get(key)), name=key)


def _dots(study: Study, rows: Sequence[Row], x: Callable[[Result], Any]) -> list[Dot]:
    """Return the monitored metric of each measured result against something else."""
    return [
        Dot(
            x=x(each),
            y=each.metrics[row.monitor],
            label=f"{words(each.overrides)}: {number(each.metrics[row.monitor])}",
            tone=tone_of(study, row),
        )
        for row in rows
        for each in row.finished
        if row.monitor in each.metrics
    ]


def _parallel(study: Study, rows: Sequence[Row]) -> Block:
    keys = study.keys[:MOST_AXES]
    measured = [row for row in rows if math.isfinite(row.metrics[row.monitor].mean)]
    last = max(len(measured) - 1, 1)
    points = [
        Point(
            values=[*(row.overrides.get(key) for key in keys), row.metrics[row.monitor].mean],
            label=f"{words(row.overrides)}: {number(row.metrics[row.monitor].mean)}",
            shade=SHADES - 1 if place == 0 else int((1 - place / last) * (SHADES - 1)),
        )
        for place, row in enumerate(measured)
    ]
    name = f"All keys side by side; each line is a point of the sweep, {rows[0].monitor} at the end"
    return Pictures(
        panels={name: draw_parallel([*keys, rows[0].monitor], points)},
        legend={"best": "best", "worst": "shade0"},
    )


def cost(study: Study) -> Section:
    """Say how much time and memory the runs took."""
    runs = [run for each in study.results for run in each.folds or (each,)]
    seconds = [run.seconds for run in runs if run.seconds]
    if not seconds:
        return Section(title="Time and memory", blocks=[])
    facts = {
        "All runs together": duration(sum(seconds)),
        "One run": f"{duration(min(seconds))} to {duration(max(seconds))}",
        "Memory": "\n".join(memory_lines(study.results)) or "not recorded",
    }
    blocks: list[Block] = [Facts(answers=facts)]
    dots = _dots(study, study.rows, lambda each: each.seconds)
    if len(dots) > 2 and (svg := draw_slice(dots, name="seconds")):
        caption = f"{study.rows[0].monitor} against running time"
        blocks.append(Pictures(panels={caption: svg}, legend={}))
    return Section(title="Time and memory", blocks=blocks)


def failures(study: Study) -> Section:
    """List the jobs that did not finish, with the line that failed."""
    rows = [list(_failure(each)) for each in study.results if not each.is_finished]
    table = Table(header=["job", "state", "error", "line that failed", ""], rows=rows)
    return Section(title="Jobs that did not finish", blocks=[table] if rows else [])


def _failure(result: Result) -> Iterator[Cell]:
    # Of a cross-validation, the fold that failed has the traceback.
    failed = next((each for each in result.folds if each.error), result)
    place = failing_line(RunFolder(failed.path).log) or failing_line(RunFolder(result.path).log)
    yield words(result.overrides) or result.name
    yield Badge(text=result.state, tone="failed" if result.state == "failed" else "noise")
    yield result.error or failed.error or ""
    yield place.code if place else ""
    yield place.where if place else ""


def repetition(study: Study) -> Section:
    """Give the commands that train the best config again."""
    if study.best is None:
        return Section(title="Repeat the best", blocks=[])
    result = study.best.results[0]
    blocks: list[Block] = []
    if not result.folds:
        exact = join(["leyden", "train", f"run={relative(result.path)}", "--rerun"])
        blocks += [Text(text="From its frozen config:"), Code(text=exact)]
    if command := repeat_command(study, result):
        blocks += [Text(text="As a command:"), Code(text=join(command))]
    return Section(title="Repeat the best", blocks=blocks)


def reproducibility(study: Study) -> Section:
    """Answer the questions of the reproducibility checklists."""
    row = study.best or study.rows[0]
    return Section(title="Reproducibility", blocks=[Facts(answers=checklist(study, row))])

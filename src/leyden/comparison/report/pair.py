"""The report on two runs: how their configs, code, data and metrics differ."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from leyden.comparison.report.checklist import as_mapping, code_lines, peak_memory
from leyden.comparison.report.html import Block, Cell, Page, Pictures, Section, Table, Text
from leyden.comparison.report.page import Report
from leyden.comparison.report.pictures import Curve, draw_curves, number, word
from leyden.comparison.report.study import Study, relative
from leyden.comparison.report.wording import (
    duration,
    equals,
    interval,
    listed,
    p_value,
    plural,
    size,
)
from leyden.comparison.results import Result
from leyden.comparison.statistics import LEVEL, Estimate, compare
from leyden.comparison.table import aligned
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, read_json

NAMES = ("first", "second")

FEW = 5
"""Keys that a finding names."""

FINGERPRINTS = {"data_fingerprint": "rows", "split_fingerprint": "splits"}
"""Entries of a status that tell data apart, and what they are the fingerprints of."""


def pair_file(first: Study, second: Study) -> Path:
    """Return where the page on two runs is written: in the folder of the first."""
    return first.path / f"compared-with-{second.path.resolve().name}.html"


def report_pair(first: Study, second: Study) -> Report:
    """Compare two runs or two cross-validations.

    Raises:
        UserError: If one of them is a sweep.
    """
    for each in (first, second):
        if each.kind == "sweep":
            raise UserError(
                f"{each.path} is a sweep, and two runs can be compared. Expected two folders of "
                "runs or cross-validations, or the sweep alone, whose jobs are then ranked."
            )
    a, b = first.results[0], second.results[0]
    measured = _metrics(a, b)
    sections = [
        measured,
        _curves(a, b),
        _differences("Config", a.config(), b.config()),
        _differences("Code and machine", _code(a), _code(b)),
        _differences("Data and network", _facts(a), _facts(b)),
    ]
    page = Page(
        title="Two runs",
        subtitle="",
        findings=[
            *(f"{name} run: {relative(run.path)}" for name, run in zip(NAMES, (a, b), strict=True)),
            *_findings(a, b),
        ],
        sections=sections,
    )
    return Report(page=page, table=_as_text(measured))


def _findings(a: Result, b: Result) -> Iterator[str]:
    monitor = b.monitor or ""
    if monitor in a.metrics and monitor in b.metrics:
        found = _estimate(a, b, monitor)
        values = f"{number(a.metrics[monitor])} and {number(b.metrics[monitor])}"
        yield f"{monitor}: {values}, {_verdict(found)}."
    facts = _facts(a), _facts(b)
    for key, name in FINGERPRINTS.items():
        prints = [
            [value for fact, value in each.items() if fact.startswith(key.replace("_", " "))]
            for each in facts
        ]
        if all(map(any, prints)) and prints[0] != prints[1]:
            yield f"The {name} differ, so their metrics cannot be compared without reserve."
    changed = _unequal(a.config(), b.config())
    if not changed:
        yield "The configs are equal."
        return
    shown = listed(changed) if len(changed) <= FEW else plural(len(changed), "key")
    yield f"The configs differ in {shown}."


def _verdict(found: Estimate) -> str:
    if math.isnan(found.p_value):
        return "which one run each cannot tell from noise"
    verdict = "beyond noise" if found.p_value < 1 - LEVEL else "within noise"
    return f"{verdict} (p {equals(found.p_value)})"


def _unequal(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    keys = dict.fromkeys([*first, *second])
    return [key for key in keys if first.get(key) != second.get(key)]


def _estimate(a: Result, b: Result, name: str) -> Estimate:
    """Estimate the second minus the first, paired by fold; seeds need not be the same ones."""
    scores = [
        {at._replace(seed=0): value for at, value in each.scores(name).items()} for each in (a, b)
    ]
    return compare(scores[1], scores[0], test_ratio=max(a.test_ratio, b.test_ratio))


def _metrics(a: Result, b: Result) -> Section:
    rows: list[list[Cell]] = []
    for name in sorted({*a.metrics, *b.metrics}):
        found = _estimate(a, b, name)
        values = [each.metrics.get(name, math.nan) for each in (a, b)]
        rows.append(
            [
                name,
                *map(number, values),
                number(values[1] - values[0]),
                interval(found),
                p_value(found.p_value),
            ]
        )
    folds = [len(each.folds) or 1 for each in (a, b)]
    text = (
        "Paired by fold, with the corrected resampled t-test; p is not adjusted for the number of "
        "metrics."
        if min(folds) > 1
        else "One run each, so no difference can be told from noise: that takes several seeds or "
        "folds: leyden crossval, or a sweep with seeds=5."
    )
    cost = [["running time", *(duration(each.seconds) for each in (a, b)), "", "", ""]]
    peaks = [" + ".join(map(size, peak_memory([each]).values())) for each in (a, b)]
    cost += [["peak memory", *(each or "-" for each in peaks), "", "", ""]]
    header = ["", *NAMES, "second minus first", "95 % interval", "p"]
    return Section(
        title="Metrics", blocks=[Text(text=text), Table(header=header, rows=[*rows, *cost])]
    )


def _curves(a: Result, b: Result) -> Section:
    tones = {0: "default", 1: "best"}
    histories = [
        (tones[place], run.name, run.history())
        for place, each in enumerate((a, b))
        for run in each.folds or (each,)
    ]
    names = sorted({name for _, _, rows in histories for row in rows for name in row})
    panels = {}
    for name in names:
        curves = [
            Curve(
                points=[(row["epoch"], row[name]) for row in rows if {name, "epoch"} <= row.keys()],
                label=label,
                tone=tone,
            )
            for tone, label, rows in histories
        ]
        if name.startswith(("train/", "val/")) and (svg := draw_curves(curves, name=name)):
            panels[name] = svg
    legend = {"first": "default", "second": "best"}
    blocks: list[Block] = [Pictures(panels=panels, legend=legend)] if panels else []
    return Section(title="Learning curves", blocks=blocks)


def _code(result: Result) -> dict[str, Any]:
    provenance = read_json(RunFolder(result.path).provenance)
    known = {key: provenance.get(key) for key in ("command", "platform")}
    return {**known, **code_lines(provenance), **as_mapping(provenance.get("hardware"))}


def _facts(result: Result) -> dict[str, Any]:
    """Return what was recorded about the data of a run; of a cross-validation, of its folds."""
    facts: dict[str, Any] = {}
    for run in result.folds or (result,):
        folder, of_fold = RunFolder(run.path), f" of {run.name}" if result.folds else ""
        status, cleaning = folder.read_status(), read_json(folder.cleaning)
        facts |= {f"{key.replace('_', ' ')}{of_fold}": status.get(key) for key in FINGERPRINTS}
        rows = as_mapping(status.get("rows"))
        facts |= {f"{split} rows{of_fold}": count for split, count in rows.items()}
        facts |= {f"{key}{of_fold}": cleaning.get(key) for key in ("items_read", "rows_kept")}
        facts[f"parameters{of_fold}"] = status.get("parameters")
    return facts


def _differences(title: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Section:
    """List the keys whose values differ."""
    keys = _unequal(first, second)
    rows: list[list[Cell]] = [
        [key, *(word(each[key]) if key in each else "-" for each in (first, second))]
        for key in keys
    ]
    same = len({*first, *second}) - len(keys)
    text = f"The other {same} entries are equal." if keys else f"All {same} entries are equal."
    blocks: list[Block] = [Table(header=["", *NAMES], rows=rows)] if rows else []
    return Section(title=title, blocks=[*blocks, Text(text=text)])


def _as_text(section: Section) -> str:
    """Format the table of a section for a terminal."""
    table = next(block for block in section.blocks if isinstance(block, Table))
    return aligned([table.header, *([str(cell) for cell in row] for row in table.rows)])

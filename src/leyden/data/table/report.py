"""The cleaning report of a table: what fitting its columns found."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.prepared import Cache
from leyden.data.cleaning.steps import CleaningReport, StepReport
from leyden.data.rows import Split
from leyden.data.table.batches import Layout
from leyden.data.table.cleaning import COLUMN_STEPS, TableCleaning
from leyden.data.table.ranges import plausible_range


def with_table_steps(
    cached: Cache,
    layout: Layout,
    statistics: Mapping[str, Any],
    steps: TableCleaning,
    splits: Mapping[Split, NDArray[np.int64]],
) -> CleaningReport:
    """Add the steps that were judged on the training rows, and what was filled in."""
    report = cached.cleaning_report()
    columns = {
        step: _columns(step, statistics, enabled=getattr(steps, step)) for step in COLUMN_STEPS
    }
    numbers = [c["name"] for c in statistics["columns"] if c["kind"] != "categorical"]
    added = {
        "misfits": _cells(_misfits(cached), enabled=steps.misfits),
        "missing_cells": _cells(_missing(cached, layout, numbers), enabled=True),
        "outliers": _cells(
            [
                *_outliers(cached, layout, statistics, numbers),
                *target_outliers(cached, splits["train"]),
            ],
            enabled=steps.outliers,
        ),
        "unknown_values": _cells(_unknown(cached, layout, statistics, splits), enabled=True),
    }
    return replace(report, steps=report.steps | columns | added)


Found = Iterable[tuple[str, int, str]]
"""A column, how many of its cells, and why."""


def _columns(step: str, statistics: Mapping[str, Any], *, enabled: bool) -> StepReport:
    findings = [
        {"source": f"column {refused['column']}", "reason": refused["reason"]}
        for refused in statistics["refused"]
        if refused["step"] == step
    ]
    return StepReport(
        enabled=enabled, found=len(findings), dropped=len(findings), findings=findings
    )


def _cells(found: Found, *, enabled: bool) -> StepReport:
    counted = list(found)
    findings = [
        {"source": f"column {name}", "reason": f"{count} {reason}"}
        for name, count, reason in counted
    ]
    total = sum(count for _, count, _ in counted)
    return StepReport(enabled=enabled, found=total if enabled else 0, findings=findings)


def _misfits(cached: Cache) -> Found:
    for name, found in cached.facts["misfits"].items():
        yield name, found["cells"], f"cells of another kind, such as {found['example']!r}"


def _missing(cached: Cache, layout: Layout, names: list[str]) -> Found:
    for name, place in zip(names, layout.numbers, strict=True):
        count = int(np.isnan(cached.arrays["numbers"][cached.kept, place]).sum())
        if count:
            yield name, count, "cells filled with the median of the training rows"


def _outliers(
    cached: Cache, layout: Layout, statistics: Mapping[str, Any], names: list[str]
) -> Found:
    fitted = statistics["numbers"]
    for column, (name, place) in enumerate(zip(names, layout.numbers, strict=True)):
        centre = float(layout.centres[column])
        low, high = float(fitted["low"][column]), float(fitted["high"][column])
        values = cached.arrays["numbers"][cached.kept, place]
        beyond = np.flatnonzero((values - centre < low) | (values - centre > high))
        if len(beyond):
            yield (
                name,
                len(beyond),
                f"values outside {centre + low:.6g} to {centre + high:.6g} count as missing, such "
                f"as {values[beyond[0]]:.6g} in {cached.sources[int(cached.kept[beyond[0]])]}",
            )


def target_outliers(cached: Cache, training: NDArray[np.int64]) -> Found:
    """Find targets far outside the range that is plausible by the training rows; they are kept."""
    if cached.targets.dtype.kind != "f":
        return
    targets = cached.targets.astype(np.float64)
    low, high = plausible_range(targets[training])
    values = targets[cached.kept]
    beyond = np.flatnonzero((values < low) | (values > high))
    if len(beyond):
        yield (
            "target",
            len(beyond),
            f"targets are outside {low:.6g} to {high:.6g} and were kept, such as "
            f"{values[beyond[0]]:.6g} in {cached.sources[int(cached.kept[beyond[0]])]}",
        )


def _unknown(
    cached: Cache,
    layout: Layout,
    statistics: Mapping[str, Any],
    splits: Mapping[Split, NDArray[np.int64]],
) -> Found:
    rows = np.concatenate([splits["val"], splits["test"]])
    for name, place, table in zip(
        statistics["values"], layout.categories, layout.tables, strict=True
    ):
        count = int((table[cached.arrays["categories"][rows, place]] == 0).sum())
        if count:
            yield name, count, "cells of validation and test hold what training never saw"

"""Cleaning steps of tables: columns that are left out, and the report."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.prepared import Cache
from leyden.data.cleaning.steps import Cleaning, CleaningReport, StepReport
from leyden.data.rows import Split
from leyden.data.table.columns import Column, split_columns
from leyden.data.table.encoding import Layout
from leyden.data.table.screening import (
    INDEX_NAMES,
    Training,
    category_determines,
    digest,
    is_constant,
    is_identifier,
    is_row_number,
    number_determines,
    plausible_range,
)

COLUMN_STEPS = ("constant_columns", "duplicate_columns", "identifier_columns", "leaking_columns")
"""The steps that leave columns out."""

Found = Iterable[tuple[str, int, str]]
"""Findings: name of a column, number of its cells, and the reason."""


@dataclass(frozen=True, kw_only=True)
class TableCleaning(Cleaning):
    """The cleaning steps of every kind of data, and those of columns and cells.

    Duplicates are kept by default, because two passengers of one age and class are two
    observations; so are conflicting labels, because few columns rarely determine the target.
    Columns and ranges are examined on the training rows, so their steps are reported after the
    split.

    Attributes:
        missing_target: Drop rows without a target, group or time; if off, the first one is an
            error.
        misfits: Treat cells that are not of their column's kind, such as words among numbers, and
            infinite numbers, as missing; if off, they are an error.
        outliers: Treat impossible numbers as missing; those of the target are only reported.
        constant_columns: Leave out columns that are the same in every row.
        duplicate_columns: Leave out columns that repeat another one.
        identifier_columns: Leave out columns that name or number rows, unless their kind is
            declared.
        leaking_columns: Leave out columns that determine the target by themselves.
    """

    conflicting_labels: bool = False
    duplicates: bool = False
    missing_target: bool = True
    misfits: bool = True
    outliers: bool = True
    constant_columns: bool = True
    duplicate_columns: bool = True
    identifier_columns: bool = True
    leaking_columns: bool = True


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A column that is left out.

    Attributes:
        column: Name of the column.
        step: Cleaning step that leaves it out.
        reason: Reason for leaving it out.
    """

    column: str
    step: str
    reason: str


def find_refused(
    training: Training, *, declared: Collection[str], steps: TableCleaning
) -> list[Refused]:
    """Find the columns to leave out.

    Args:
        training: Training rows.
        declared: Names of columns whose kind is declared, which are not identifiers.
        steps: Cleaning steps that run.
    """
    numbers, categories = split_columns(training.columns)
    kept: dict[bytes, str] = {}
    refused: list[Refused] = []
    for column in (*numbers, *categories):
        for step, reason in _faults(column, training, kept):
            if getattr(steps, step) and not (
                step == "identifier_columns" and column.name in declared
            ):
                refused.append(Refused(column=column.name, step=step, reason=reason))
                break
    return refused


def _faults(
    column: Column, training: Training, kept: dict[bytes, str]
) -> Iterator[tuple[str, str]]:
    """Yield the steps that would leave a column out, and the reasons.

    Args:
        column: The column.
        training: Training rows.
        kept: Names of the columns without faults by their digest, to which this one is added.
    """
    values, targets = training.values(column), training.targets
    remedy = f"to learn from it: {column.override(column.kind)}"
    if INDEX_NAMES.fullmatch(column.name):
        yield "identifier_columns", f"an index of the rows; {remedy}"
    if is_constant(values):
        yield "constant_columns", "the same in every training row"
    if column.kind == "numeric" and is_row_number(values):
        yield "identifier_columns", f"it numbers the rows; {remedy}"
    if column.kind == "categorical" and is_identifier(values):
        count = f"{len(np.unique(values))} values in {len(values)} training rows"
        yield "identifier_columns", f"{count}; {remedy}"
    determines = number_determines if column.is_number else category_determines
    if targets.ndim == 1 and determines(values, targets):
        yield (
            "leaking_columns",
            "determines the target by itself; keep it with data.cleaning.leaking_columns=false",
        )
    if (twin := kept.setdefault(digest(values), column.name)) != column.name:
        yield "duplicate_columns", f"the same as {twin}"


def add_table_steps(
    cached: Cache,
    layout: Layout,
    statistics: Mapping[str, Any],
    steps: TableCleaning,
    splits: Mapping[Split, NDArray[np.int64]],
) -> CleaningReport:
    """Add the steps that depend on the training rows to the report of a cache.

    Args:
        cached: Cached rows.
        layout: Layout of the fitted columns in the cache.
        statistics: Fitted statistics.
        steps: Cleaning steps that run.
        splits: Row numbers ``(rows,)`` of each split.
    """
    report = cached.cleaning_report()
    columns = {
        step: _report_columns(step, statistics, enabled=getattr(steps, step))
        for step in COLUMN_STEPS
    }
    numbers = [c["name"] for c in statistics["columns"] if c["kind"] != "categorical"]
    outliers = [
        *_outliers(cached, layout, statistics, numbers),
        *target_outliers(cached, splits["train"]),
    ]
    unknown = _unknown(cached, layout, statistics, np.concatenate([splits["val"], splits["test"]]))
    cells = {
        "misfits": _report_cells(_misfits(cached), enabled=steps.misfits),
        "missing_cells": _report_cells(_missing(cached, layout, numbers)),
        "outliers": _report_cells(outliers, enabled=steps.outliers),
        "unknown_values": _report_cells(unknown),
    }
    return replace(report, steps=report.steps | columns | cells)


def _report_columns(step: str, statistics: Mapping[str, Any], *, enabled: bool) -> StepReport:
    findings = [
        {"source": f"column {refused['column']}", "reason": refused["reason"]}
        for refused in statistics["refused"]
        if refused["step"] == step
    ]
    count = len(findings)
    return StepReport(enabled=enabled, found=count, dropped=count, findings=findings)


def _report_cells(found: Found, *, enabled: bool = True) -> StepReport:
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
    bounds = (statistics["numbers"][name].tolist() for name in ("low", "high"))
    for name, place, centre, low, high in zip(
        names, layout.numbers, layout.centres.tolist(), *bounds, strict=True
    ):
        values = cached.arrays["numbers"][cached.kept, place]
        yield from _beyond(cached, name, values, (low, high), centre, "counted as missing")


def target_outliers(cached: Cache, training: NDArray[np.int64]) -> Found:
    """Find targets outside the range that is plausible given the training rows; they are kept.

    Args:
        cached: Cached rows.
        training: Row numbers ``(rows,)`` of the training split.
    """
    if cached.targets.dtype.kind == "f":
        targets = cached.targets.astype(np.float64)
        bounds = plausible_range(targets[training])
        yield from _beyond(cached, "target", targets[cached.kept], bounds, 0.0, "kept")


def _beyond(
    cached: Cache,
    name: str,
    values: NDArray[np.float64],
    bounds: tuple[float, float],
    centre: float,
    consequence: str,
) -> Found:
    """Find values ``(kept rows,)`` outside bounds that are measured from a centre."""
    low, high = bounds
    beyond = np.flatnonzero((values - centre < low) | (values - centre > high))
    if len(beyond):
        first = int(beyond[0])
        yield (
            name,
            len(beyond),
            f"values outside {centre + low:.6g} to {centre + high:.6g} ({consequence}), such as "
            f"{values[first]:.6g} in {cached.sources[int(cached.kept[first])]}",
        )


def _unknown(
    cached: Cache, layout: Layout, statistics: Mapping[str, Any], rows: NDArray[np.int64]
) -> Found:
    """Find values of validation and test rows that no training row has."""
    for name, place, table in zip(
        statistics["values"], layout.categories, layout.tables, strict=True
    ):
        count = int((table[cached.arrays["categories"][rows, place]] == 0).sum())
        if count:
            yield name, count, "cells of validation and test rows have values unseen in training"

"""Cleaning steps of tables: columns that are left out, and the report."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.prepared import Cache
from leyden.data.cleaning.steps import Cleaning, CleaningReport, StepReport
from leyden.data.rows import Split
from leyden.data.table.columns import Column
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


@dataclass(frozen=True, kw_only=True)
class TableCleaning(Cleaning):
    """Which cleaning steps run on a table; those of every kind, and those of columns and cells.

    Equal rows are not dropped by default: two passengers of one age and class are two
    observations. Nor are equal rows with different targets, because few columns rarely settle what
    happened. Columns and ranges are judged on the training rows alone, so these steps are reported
    once the rows are split.

    Attributes:
        missing_target: leave rows out that lack a target, a group or a time; when off, the
            first one is an error.
        misfits: count cells that are not of their column's kind, such as words among numbers, and
            infinite numbers, as missing; when off, they are an error.
        outliers: count impossible numbers as missing; those of the target are only reported.
        constant_columns: leave columns out that are the same in every row.
        duplicate_columns: leave columns out that repeat another one.
        identifier_columns: leave columns out that name or number rows, unless their kind is
            declared.
        leaking_columns: leave columns out that determine the target by themselves.
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


IDENTIFIERS = "identifier_columns"


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A column that is left out, and the cleaning step that says so."""

    column: str
    step: str
    reason: str


def refused(
    training: Training,
    numbers: Sequence[Column],
    categories: Sequence[Column],
    *,
    declared: Collection[str],
    steps: TableCleaning,
) -> list[Refused]:
    """Find the columns to leave out.

    Args:
        training: the training rows.
        numbers: those of the cached numbers.
        categories: those of the cached categories.
        declared: Names of columns whose kind is declared; they are not taken for identifiers.
        steps: the cleaning steps that run.
    """
    judged = [_number_faults(column, training, place) for place, column in enumerate(numbers)]
    judged += [_category_faults(column, training, place) for place, column in enumerate(categories)]
    kept: dict[bytes, str] = {}
    found: list[Refused] = []
    for faults in judged:
        counting = (
            fault
            for fault in faults(kept)
            if getattr(steps, fault.step)
            and (fault.step != IDENTIFIERS or fault.column not in declared)
        )
        found += islice(counting, 1)
    return found


Faults = Callable[[dict[bytes, str]], Iterator[Refused]]
"""Finds the faults of a column, given the digests of those that were kept, and adds its own."""


def _number_faults(column: Column, training: Training, place: int) -> Faults:
    def find(kept: dict[bytes, str]) -> Iterator[Refused]:
        values, targets = training.number(place), training.targets
        yield from _faults_of_any(column, values)
        if column.kind == "numeric" and is_row_number(values):
            yield _identifier(column, "it numbers the rows")
        if targets.ndim == 1 and number_determines(values, targets):
            yield _leak(column)
        yield from _repetition(column, values, kept)

    return find


def _category_faults(column: Column, training: Training, place: int) -> Faults:
    def find(kept: dict[bytes, str]) -> Iterator[Refused]:
        codes, targets = training.category(place), training.targets
        yield from _faults_of_any(column, codes)
        if is_identifier(codes):
            reason = f"{len(np.unique(codes))} values in {len(codes)} training rows"
            yield _identifier(column, reason)
        if targets.ndim == 1 and category_determines(codes, targets):
            yield _leak(column)
        yield from _repetition(column, codes, kept)

    return find


def _faults_of_any(column: Column, values: NDArray[Any]) -> Iterator[Refused]:
    if INDEX_NAMES.fullmatch(column.name):
        yield _identifier(column, "an index of the rows")
    if is_constant(values):
        reason = "the same in every training row"
        yield Refused(column=column.name, step="constant_columns", reason=reason)


def _repetition(column: Column, values: NDArray[Any], kept: dict[bytes, str]) -> Iterator[Refused]:
    twin = kept.setdefault(digest(values), column.name)
    if twin != column.name:
        reason = f"the same as {twin}"
        yield Refused(column=column.name, step="duplicate_columns", reason=reason)


def _identifier(column: Column, reason: str) -> Refused:
    remedy = f"to learn from it: {column.override(column.kind)}"
    return Refused(column=column.name, step=IDENTIFIERS, reason=f"{reason}; {remedy}")


def _leak(column: Column) -> Refused:
    reason = "determines the target by itself; keep it with data.cleaning.leaking_columns=false"
    return Refused(column=column.name, step="leaking_columns", reason=reason)


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

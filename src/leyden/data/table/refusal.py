"""Which columns of a table are left out, and why."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.table.cleaning import TableCleaning
from leyden.data.table.columns import Column
from leyden.data.table.screening import (
    INDEX_NAMES,
    category_determines,
    digest,
    is_constant,
    is_identifier,
    is_row_number,
    number_determines,
)
from leyden.data.table.training import Training

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

"""Checks of splits: that every class can be learned and is measured."""

import logging

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.prepared import Cache
from leyden.data.rows import SPLITS
from leyden.data.splits import Splits
from leyden.errors import UserError

log = logging.getLogger(__name__)

MOST_NAMED = 10
"""Maximum number of classes that a message lists."""


def check_splits(splits: Splits, cached: Cache, *, to_learn: bool = True) -> None:
    """Raise if the splits are none of the rows, or nothing can be learned from them.

    Args:
        splits: Row numbers of each split.
        cached: Rows that were split.
        to_learn: Whether a network is to learn from them. If it has learned, splits may be empty.

    Raises:
        UserError: If a split is missing or empty, a row is in two or was not to be split, or a
            class has no training row.
    """
    _check_rows(splits, cached)
    if not to_learn:
        return
    if empty := [split for split, rows in splits.items() if len(rows) == 0]:
        raise UserError(_nothing_left(empty, cached))
    if len(cached.class_names) == 1 and cached.targets.ndim == 1:
        raise UserError(
            f"Every row has the target {cached.class_names[0]!r}. Expected at least two classes."
        )
    held = _held(splits, cached)
    if unseen := set[int]().union(*held.values()) - held["train"]:
        raise UserError(
            f"No training row is left of {_named(unseen, cached)}, which other splits hold. Add "
            "such rows to the training split, or take the class out of the others."
        )


def warn_of_unmeasured(splits: Splits, cached: Cache) -> None:
    """Warn of classes that no row of the validation or test split has, unless it is empty."""
    held = _held(splits, cached)
    known = set[int]().union(*held.values())
    for split in ("val", "test"):
        if len(splits[split]) and (absent := known - held[split]):
            log.warning("no row of the %s split measures %s", split, _named(absent, cached))


def _held(splits: Splits, cached: Cache) -> dict[str, set[int]]:
    """Collect the classes, or labels, that the rows of each split hold; none of other targets."""
    if not cached.class_names:
        return {split: set() for split in splits}
    return {split: _classes(cached.targets[rows]) for split, rows in splits.items()}


def _check_rows(splits: Splits, cached: Cache) -> None:
    """Raise if a custom splitter returns something other than disjoint sets of rows.

    Raises:
        UserError: If a split is missing or of another type, or rows are invalid or repeated.
    """
    kinds = {split: getattr(rows, "dtype", type(rows)) for split, rows in splits.items()}
    if kinds != dict.fromkeys(SPLITS, np.dtype(np.int64)):
        found = ", ".join(f"{split} ({kind})" for split, kind in kinds.items())
        raise UserError(
            f"data.splitter returns {found}. Expected int64 arrays of row numbers for train, val "
            "and test."
        )
    left = np.zeros(len(cached.splits), dtype=bool)
    left[cached.kept] = True
    for rows in splits.values():
        if not (rows.min(initial=0) >= 0 and rows.max(initial=0) < len(left) and left[rows].all()):
            raise UserError(
                "data.splitter returns a row that is in another split or was not to be split. "
                "Expected each of Population.rows in one split at most."
            )
        left[rows] = False


def _nothing_left(empty: list[str], cached: Cache) -> str:
    """Return the message for empty splits, with what may have caused them."""
    report = cached.cleaning_report()
    lost = [f"{step.dropped} by {name}" for name, step in report.steps.items() if step.dropped]
    cleaned = f" of {report.items_read}; cleaning dropped {', '.join(lost)}" if lost else ""
    kept, units = len(cached.kept), len(np.unique(cached.keys[cached.kept]))
    together = ""
    if cached.is_grouped:
        together = f" Rows of one group stay together, and there are {units}."
    elif units < kept:
        together = f" Equal rows stay together, and only {units} are distinct."
    return (
        f"No row is left for {' and '.join(empty)}: the data set keeps {kept} rows{cleaned}."
        f"{together} Add data, or change data.splitter."
    )


def _named(classes: set[int], cached: Cache) -> str:
    names = [cached.class_names[index] for index in sorted(classes)]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _classes(targets: NDArray[np.generic]) -> set[int]:
    """Return the classes or labels that occur in targets ``(rows,)`` or ``(rows, labels)``."""
    held = np.bincount(targets) if targets.ndim == 1 else targets.any(axis=0)
    return set(np.flatnonzero(held).tolist())

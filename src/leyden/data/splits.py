"""Splitting rows into training, validation and test parts."""

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache import Cache
from leyden.errors import UserError

log = logging.getLogger(__name__)

RowNumbers = NDArray[np.int64]

MOST_NAMED = 10
"""Classes that a message lists."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """How the rows of a data set are parted where its source does not part them.

    Attributes:
        val_fraction: share of the training rows held out for validation.
        test_fraction: share of all rows held out for the test, unless there are folds.
        seed: same seed, same parts.
        folds: number of folds for cross-validation; ``None`` for a single split.
        fold: the fold that is the test part, from 0.
    """

    val_fraction: float
    test_fraction: float
    seed: int
    folds: int | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        for name in ("val_fraction", "test_fraction"):
            share = getattr(self, name)
            if not 0 <= share < 1:
                raise ValueError(f"{name} is a share of the rows: expected 0 to 1, got {share}")
        if self.folds is not None and not (self.folds > 1 and 0 <= self.fold < self.folds):
            raise ValueError(
                f"fold: expected 0 to folds - 1 of 2 folds or more, got fold {self.fold} of "
                f"{self.folds}"
            )

    def parts(self, cached: Cache) -> dict[str, RowNumbers]:
        """Part the kept rows of a cache: by time or group where it has them, else by class.

        Where rows have times, the latest are the test part and those before them the validation
        part; fold ``k`` of ``K`` tests on the ``k + 1``-th of ``K + 1`` stretches of time, and
        nothing later is learnt from.

        Raises:
            UserError: a part is left empty, or a class has no training row.
        """
        train = cached.rows_of("train", "all")
        val, test = cached.rows_of("val"), cached.rows_of("test")
        if self.folds is not None:
            train, test = self._fold(np.union1d(train, test), cached, self.folds)
        elif len(test) == 0:
            train, test = self._hold_out(train, self.test_fraction, cached)
        if len(val) == 0:
            train, val = self._hold_out(train, self.val_fraction, cached)
        parts = {"train": train, "val": val, "test": test}
        _check_parts(parts, cached)
        return parts

    def _hold_out(
        self, rows: RowNumbers, fraction: float, cached: Cache
    ) -> tuple[RowNumbers, RowNumbers]:
        if cached.times is not None:
            return time_split(rows, cached.times[rows], fraction=fraction)
        if cached.groups is not None:
            return grouped_split(rows, cached.groups[rows], fraction=fraction, seed=self.seed)
        return stratified_split(rows, cached.targets[rows], fraction=fraction, seed=self.seed)

    def _fold(self, rows: RowNumbers, cached: Cache, folds: int) -> tuple[RowNumbers, RowNumbers]:
        if cached.times is not None:
            numbers = time_numbers(cached.times[rows], stretches=folds + 1) - 1
            return rows[numbers < self.fold], rows[numbers == self.fold]
        groups = None if cached.groups is None else cached.groups[rows]
        numbers = fold_numbers(cached.targets[rows], groups, folds=folds, seed=self.seed)
        return rows[numbers != self.fold], rows[numbers == self.fold]


def _check_parts(parts: dict[str, RowNumbers], cached: Cache) -> None:
    if empty := [part for part, rows in parts.items() if len(rows) == 0]:
        raise UserError(_nothing_left(empty, cached))
    if not cached.class_names:
        return
    if len(cached.class_names) == 1 and cached.targets.ndim == 1:
        raise UserError(
            f"Every row has the target {cached.class_names[0]!r}. Expected two classes at least."
        )
    held = {part: _classes(cached.targets[rows]) for part, rows in parts.items()}
    known = set[int]().union(*held.values())
    if unseen := known - held["train"]:
        raise UserError(
            f"No training row is left of {_named(unseen, cached)}, which the other parts hold. Add "
            "such rows to the training part, or take the class out of the others."
        )
    if untested := known - held["test"]:
        log.warning("no row of the test part measures %s", _named(untested, cached))


def _nothing_left(empty: list[str], cached: Cache) -> str:
    """Word that parts are empty, and what may have made them so."""
    report = cached.cleaning_report()
    lost = [f"{step.dropped} by {name}" for name, step in report.steps.items() if step.dropped]
    cleaned = f" of {report.items_read}, for cleaning dropped {', '.join(lost)}" if lost else ""
    groups = 0 if cached.groups is None else len(np.unique(cached.groups[cached.kept]))
    torn = f" Rows of one group stay together, and there are {groups}." if groups else ""
    return (
        f"No row is left for {' and '.join(empty)}: the data set keeps {len(cached.kept)} "
        f"rows{cleaned}.{torn} Add data, or change data.val_fraction and data.test_fraction."
    )


def _named(classes: set[int], cached: Cache) -> str:
    names = [cached.class_names[index] for index in sorted(classes)]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _classes(targets: NDArray[np.generic]) -> set[int]:
    """Collect the classes, or the labels, that some rows hold."""
    held = np.bincount(targets) if targets.ndim == 1 else targets.any(axis=0)
    return set(np.flatnonzero(held).tolist())


def strata(targets: NDArray[np.generic]) -> NDArray[np.int64]:
    """Give the stratum ``(n,)`` of each row: its class; one for all where targets are numbers.

    That of a row of several labels is the rarest of them, as rare labels are the ones that a split
    may leave without a row (the greedy choice of Sechidis et al. 2011).
    """
    if targets.dtype.kind == "f":
        return np.zeros(len(targets), dtype=np.int64)
    if targets.ndim == 1:
        return targets.astype(np.int64, copy=False)
    held = targets.astype(np.int64)
    rarity = np.where(held > 0, held.sum(axis=0), len(held) + 1)
    rarest: RowNumbers = np.where(held.any(axis=1), rarity.argmin(axis=1), held.shape[1])
    return rarest


def stratified_split(
    rows: RowNumbers, targets: NDArray[np.generic], *, fraction: float, seed: int
) -> tuple[RowNumbers, RowNumbers]:
    """Set a fraction of the rows of every class apart, at random.

    Args:
        rows: ``(n,)`` row numbers.
        targets: ``(n,)`` class of each of these rows, or ``(n, labels)``.
        fraction: share to set apart, in [0, 1).
        seed: same seed, same split.

    Returns:
        The rows that remain and those set apart, each sorted. A class of one row remains whole.
        Targets that are numbers are not stratified.
    """
    random = np.random.default_rng(seed)
    apart = np.zeros(len(rows), dtype=bool)
    stratum = strata(targets)
    for number in np.flatnonzero(np.bincount(stratum)):
        members = random.permutation(np.flatnonzero(stratum == number))
        apart[members[: round(fraction * len(members))]] = True
        if len(members) == 1:
            apart[members] = False
    return np.sort(rows[~apart]), np.sort(rows[apart])


def grouped_split(
    rows: RowNumbers, groups: NDArray[np.int64], *, fraction: float, seed: int
) -> tuple[RowNumbers, RowNumbers]:
    """Set whole groups apart, at random, until they hold a fraction of the rows.

    Args:
        rows: ``(n,)`` row numbers.
        groups: ``(n,)`` group of each of these rows.
        fraction: share to set apart, in [0, 1).
        seed: same seed, same split.

    Returns:
        The rows that remain and those set apart, each sorted.
    """
    names, members, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    # A group goes where most of it lies, which comes nearest to the fraction.
    middles = np.cumsum(counts[order]) - counts[order] / 2
    chosen = np.zeros(len(names), dtype=bool)
    chosen[order[middles < fraction * len(rows)]] = True
    apart = chosen[members]
    return np.sort(rows[~apart]), np.sort(rows[apart])


def time_split(
    rows: RowNumbers, times: NDArray[np.float64], *, fraction: float
) -> tuple[RowNumbers, RowNumbers]:
    """Set the latest fraction of the rows apart; rows of one time stay together.

    Args:
        rows: ``(n,)`` row numbers.
        times: ``(n,)`` when each of these rows was.
        fraction: share to set apart, in [0, 1).

    Returns:
        The rows that remain and those set apart, each sorted.
    """
    count = round(fraction * len(rows))
    if count == 0:
        return np.sort(rows), rows[:0]
    begin = np.sort(times)[-count]
    return np.sort(rows[times < begin]), np.sort(rows[times >= begin])


def time_numbers(times: NDArray[np.float64], *, stretches: int) -> NDArray[np.int64]:
    """Number the stretches of time ``(n,)`` that hold equally many rows, from 0, oldest first."""
    begins = np.quantile(times, np.arange(1, stretches) / stretches, method="higher")
    return np.searchsorted(begins, times, side="right")


def fold_numbers(
    targets: NDArray[np.generic], groups: NDArray[np.int64] | None, *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Number the fold of every row: equal in size, and stratified by class or whole by group.

    Args:
        targets: ``(n,)`` class of each row, or ``(n, labels)``; numbers are not stratified.
        groups: ``(n,)`` group of each row, or ``None``.
        folds: how many.
        seed: same seed, same folds.

    Returns:
        ``(n,)`` numbers from 0.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(targets))
    numbers = np.empty(len(targets), dtype=np.int64)
    if groups is None:
        keys = strata(targets)
        by_class = shuffled[np.argsort(keys[shuffled], kind="stable")]
        numbers[by_class] = np.arange(len(targets)) % folds
        return numbers
    _, members, counts = np.unique(groups, return_inverse=True, return_counts=True)
    sizes = np.zeros(folds, dtype=np.int64)
    order = random.permutation(len(counts))
    for group in order[np.argsort(-counts[order], kind="stable")]:
        smallest = int(sizes.argmin())
        numbers[members == group] = smallest
        sizes[smallest] += counts[group]
    return numbers

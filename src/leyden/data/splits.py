"""Splitting rows into training, validation and test parts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache import Cache
from leyden.errors import UserError

RowNumbers = NDArray[np.int64]


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
        """Part the kept rows of a cache: by group where it has groups, else stratified by class.

        Raises:
            UserError: a part is left empty, or a class has no training row.
        """
        train, val, test = (cached.rows_of(part) for part in ("train", "val", "test"))
        train = np.union1d(train, cached.rows_of("all"))
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
        if cached.groups is not None:
            return grouped_split(rows, cached.groups[rows], fraction=fraction, seed=self.seed)
        return stratified_split(rows, cached.targets[rows], fraction=fraction, seed=self.seed)

    def _fold(self, rows: RowNumbers, cached: Cache, folds: int) -> tuple[RowNumbers, RowNumbers]:
        groups = None if cached.groups is None else cached.groups[rows]
        numbers = fold_numbers(cached.targets[rows], groups, folds=folds, seed=self.seed)
        return rows[numbers != self.fold], rows[numbers == self.fold]


def _check_parts(parts: dict[str, RowNumbers], cached: Cache) -> None:
    if empty := [part for part, rows in parts.items() if len(rows) == 0]:
        raise UserError(
            f"No row is left for {' and '.join(empty)}: the data set keeps {len(cached.kept)} "
            "rows. Add data, or change data.val_fraction and data.test_fraction."
        )
    if not cached.class_names:
        return
    unseen = np.setdiff1d(cached.targets[cached.kept], cached.targets[parts["train"]])
    if len(unseen):
        names = ", ".join(cached.class_names[int(index)] for index in unseen)
        raise UserError(
            f"No training row is left of {names}, which the other parts hold. Add such rows "
            "to the training part, or take the class out of the others."
        )


def stratified_split(
    rows: RowNumbers, targets: NDArray[np.generic], *, fraction: float, seed: int
) -> tuple[RowNumbers, RowNumbers]:
    """Set a fraction of the rows of every class apart, at random.

    Args:
        rows: ``(n,)`` row numbers.
        targets: ``(n,)`` class of each of these rows.
        fraction: share to set apart, in [0, 1).
        seed: same seed, same split.

    Returns:
        The rows that remain and those set apart, each sorted. A class of one row remains whole.
        Targets that are numbers are not stratified.
    """
    random = np.random.default_rng(seed)
    apart = np.zeros(len(rows), dtype=bool)
    if targets.dtype.kind == "f":
        targets = np.zeros(len(rows), dtype=np.int64)
    for target in np.unique(targets):
        members = random.permutation(np.flatnonzero(targets == target))
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


def fold_numbers(
    targets: NDArray[np.generic], groups: NDArray[np.int64] | None, *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Number the fold of every row: equal in size, and stratified by class or whole by group.

    Args:
        targets: ``(n,)`` class of each row; numbers are not stratified.
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
        keys = targets if targets.dtype.kind == "i" else np.zeros(len(targets))
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

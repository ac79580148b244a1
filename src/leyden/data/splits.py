"""Rules that divide rows into training, validation and test splits.

A row is assigned by a hash of what identifies it and not by its position in the source, so that
rows which are added or removed do not move others. Rows of one key are never separated.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from leyden.data.identity import Keys, mix_keys
from leyden.data.rows import GIVEN_SPLITS
from leyden.errors import UserError

RowNumbers = NDArray[np.int64]

RowMask = NDArray[np.bool_]

Splits = dict[str, RowNumbers]
"""Sorted row numbers ``(n,)`` of ``train``, ``val`` and ``test``."""

TEST, VAL, FOLDS = range(3)
"""Numbers of the independent draws that are made for one key."""

DRAWS = 3
"""Number of these; a repetition adds multiples of it, for draws of its own."""

ROWS_AT_ONCE = 1 << 12
"""Number of rows whose keys and targets are in memory together."""


@dataclass(frozen=True, kw_only=True)
class Population:
    """Rows to split, and the columns of all rows, which may be memory-mapped.

    Attributes:
        rows: Sorted numbers ``(n,)`` (int64) of the rows to split.
        keys: Keys ``(rows,)`` (uint64); rows of one key, such as those of a patient, stay together.
        targets: Classes ``(rows,)`` (int64), numbers ``(rows,)`` (float), or truth values
            ``(rows, labels)`` (uint8).
        splits: Codes ``(rows,)`` (uint8) in ``GIVEN_SPLITS`` of the splits given by the source.
        times: Times ``(rows,)`` (float64) of the rows; ``None`` if they have none.
    """

    rows: RowNumbers
    keys: Keys
    targets: NDArray[np.generic]
    splits: NDArray[np.uint8]
    times: NDArray[np.float64] | None = None

    def given(self) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Return the row numbers of each split of the source; ``all`` counts as training.

        Returns:
            Training, validation and test rows, each ``(n,)`` (int64), which may be empty.
        """
        splits = self.splits[self.rows]
        is_val, is_test = (splits == GIVEN_SPLITS.index(split) for split in ("val", "test"))
        return self.rows[~(is_val | is_test)], self.rows[is_val], self.rows[is_test]


class Splitter(ABC):
    """Rule that assigns rows to splits.

    A subclass is a frozen dataclass of plain values, because its ``repr`` identifies the rule.
    """

    @abstractmethod
    def split(self, rows: Population) -> Splits:
        """Return the row numbers of each split; no row may be in two.

        Args:
            rows: Rows to split, some of which the source may have assigned.
        """


@dataclass(frozen=True, kw_only=True)
class HoldOut(Splitter):
    """Holds out shares of the rows for validation and test, unless the source has these splits.

    Rows that have times are not drawn: the latest rows are the test split, and those before them
    the validation split.

    Attributes:
        val_fraction: Share of the training rows that is held out for validation, in [0, 1).
        test_fraction: Share of all rows that is held out for the test, in [0, 1).
        seed: Seed of the draw; independent of the run's seed, so that runs share their splits.

    Raises:
        ValueError: If a share is not in [0, 1).
    """

    val_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        _check_share("test_fraction", self.test_fraction)
        _check_share("val_fraction", self.val_fraction)

    def split(self, rows: Population) -> Splits:
        """Hold out the splits that the source does not have."""
        train, val, test = rows.given()
        if len(test) == 0:
            train, test = _drawn_test(rows, train, val, self.test_fraction, self.seed)
        if len(val) == 0:
            train, val = _held_out(rows, train, self.val_fraction, self.seed, VAL)
        return {"train": train, "val": val, "test": test}


@dataclass(frozen=True, kw_only=True)
class KFold(Splitter):
    """Takes one fold of k-fold cross-validation as the test split.

    The test rows are kept apart from the folds, so that they remain unseen by all of them: those
    of the source if it has some, else those that ``HoldOut`` draws with the same seed. Rows that
    have times are divided into ``folds + 1`` periods; fold ``k`` tests on period ``k + 1`` and
    trains on those before it.

    Attributes:
        folds: Number of folds, at least 2.
        fold: Number of the fold to test on, from 0. With ``None`` no fold is left out: the rows of
            all folds are the training split, and the rows kept apart are the test split.
        repeat: Number of the repetition, from 0; each draws other folds and validation rows.
        test_fraction: Share of all rows that is kept apart, in [0, 1), unless the source has test
            rows. With 0 all rows are divided into folds, the test rows of the source too.
        val_fraction: Share of the training rows that is held out for validation, in [0, 1), unless
            the source has validation rows.
        seed: Seed of the draws.

    Raises:
        ValueError: If a share is not in [0, 1), there are fewer than 2 folds, or no such fold.
    """

    folds: int = 5
    fold: int | None = 0
    repeat: int = 0
    test_fraction: float = 0.2
    val_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _check_share("test_fraction", self.test_fraction)
        _check_share("val_fraction", self.val_fraction)
        if not (self.folds > 1 and 0 <= (self.fold or 0) < self.folds):
            raise ValueError(
                f"fold: expected 0 to folds - 1 of 2 folds or more, got fold {self.fold} of "
                f"{self.folds}"
            )
        if self.repeat < 0:
            raise ValueError(f"repeat: expected 0 or more, got {self.repeat}")

    def split(self, rows: Population) -> Splits:
        """Keep the test rows apart, take one fold out, and hold out validation rows.

        Raises:
            UserError: If rows that have times are divided a second time.
        """
        train, val, test = self._apart(rows)
        if self.fold is None:
            return {"train": train, "val": val, "test": test}
        train, test = self._one_out(rows, train, self.fold)
        if len(val) == 0:
            draw = VAL + DRAWS * self.repeat
            train, val = _held_out(rows, train, self.val_fraction, self.seed, draw)
        return {"train": train, "val": val, "test": test}

    def _apart(self, rows: Population) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Return the rows of the folds, the validation rows of the source, and the test rows."""
        train, val, test = rows.given()
        if self.test_fraction == 0:
            return np.union1d(train, test), val, test[:0]
        if len(test) == 0:
            train, test = _drawn_test(rows, train, val, self.test_fraction, self.seed)
        return train, val, test

    def _one_out(
        self, rows: Population, among: RowNumbers, fold: int
    ) -> tuple[RowNumbers, RowNumbers]:
        if rows.times is not None:
            if self.repeat:
                raise UserError(
                    f"repeat={self.repeat}: rows that are split by time can be divided into "
                    f"{self.folds} folds in one way only. Expected repeat=0, which is repeats=1 of "
                    "a cross-validation."
                )
            period = periods(rows.times[among], self.folds + 1) - 1
            return among[period < fold], among[period == fold]
        keys, targets = rows.keys[among], rows.targets[among]
        draw = FOLDS + DRAWS * self.repeat
        numbers = fold_numbers(keys, targets, folds=self.folds, seed=self.seed, draw=draw)
        return among[numbers != fold], among[numbers == fold]


def _check_share(name: str, share: float) -> None:
    if not 0 <= share < 1:
        raise ValueError(f"{name} is a share of the rows: expected 0 to 1, got {share}")


def _drawn_test(
    rows: Population, train: RowNumbers, val: RowNumbers, fraction: float, seed: int
) -> tuple[RowNumbers, RowNumbers]:
    """Divide training rows into those that remain and the test split."""
    # A validation split that is drawn next takes a row of each class too.
    leave = 1 if len(val) else 2
    return _held_out(rows, train, fraction, seed, TEST, leave=leave)


def _held_out(
    rows: Population, among: RowNumbers, fraction: float, seed: int, draw: int, *, leave: int = 1
) -> tuple[RowNumbers, RowNumbers]:
    """Divide some rows into those that remain and those that are held out."""
    if rows.times is not None:
        apart = latest(rows.times[among], fraction)
    else:
        chosen = replace(rows, rows=among)
        apart = draw_keys(chosen, fraction=fraction, seed=seed, draw=draw, leave=leave)
    return among[~apart], among[apart]


def draw_keys(
    rows: Population, *, fraction: float, seed: int, draw: int = TEST, leave: int = 1
) -> RowMask:
    """Draw about a fraction of the keys by their hashes, and at least one of every class.

    A key is drawn if its hash, as a number in [0, 1), is less than the fraction, whatever other
    keys there are. Only if a class would be missing on one side, the keys of that class whose
    hashes are nearest to the fraction are moved.

    Args:
        rows: Rows to draw from; those of one key are drawn together.
        fraction: Share of the keys to draw, in [0, 1).
        seed: Seed of the draw.
        draw: Number of the draw; draws of different numbers are independent.
        leave: Minimum number of keys of every class that are not drawn, 1 or 2, if it has as many.

    Returns:
        Mask ``(n,)`` (bool), True for rows that are drawn.
    """
    is_drawn = np.zeros(len(rows.rows), dtype=bool)
    if fraction == 0 or len(is_drawn) == 0:
        return is_drawn
    for chunk, numbers in _chunks(rows):
        is_drawn[chunk] = uniform(rows.keys[numbers], seed, draw) < fraction
    balanced, scarce = is_drawn, np.empty(0, np.int64)
    # A key that one class takes may be the only one that another class had on that side.
    while len(more := np.setdiff1d(_scarce(rows, balanced, leave), scarce)):
        scarce = np.union1d(scarce, more)
        balanced = _moved(rows, is_drawn, scarce, seed=seed, draw=draw, leave=leave)
    return balanced


def _chunks(rows: Population) -> Iterator[tuple[slice, RowNumbers]]:
    for start in range(0, len(rows.rows), ROWS_AT_ONCE):
        chunk = slice(start, start + ROWS_AT_ONCE)
        yield chunk, rows.rows[chunk]


def _scarce(rows: Population, is_drawn: RowMask, leave: int) -> NDArray[np.int64]:
    """Return the classes of which no key is drawn, or fewer than ``leave`` remain."""
    count = rows.targets.shape[1] if rows.targets.ndim == 2 else _class_count(rows)
    has_drawn = np.zeros(count, dtype=bool)
    lowest = np.full(count, np.iinfo(np.uint64).max)
    highest = np.zeros(count, dtype=np.uint64)
    for chunk, numbers in _chunks(rows):
        members, classes = _memberships(rows.targets[numbers])
        own, keys = is_drawn[chunk][members], rows.keys[numbers][members]
        has_drawn[classes[own]] = True
        np.minimum.at(lowest, classes[~own], keys[~own])
        np.maximum.at(highest, classes[~own], keys[~own])
    remains = lowest <= highest
    enough = lowest < highest if leave > 1 else remains
    return np.flatnonzero((has_drawn | remains) & ~(has_drawn & enough))


def _class_count(rows: Population) -> int:
    return 1 + max(int(strata(rows.targets[numbers]).max()) for _, numbers in _chunks(rows))


def _memberships(targets: NDArray[np.generic]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return pairs of a row and a class or label of it, as two arrays ``(pairs,)``."""
    if targets.ndim == 2:
        rows, labels = np.nonzero(targets)
        return rows, labels
    return np.arange(len(targets)), strata(targets)


def _moved(
    rows: Population,
    is_drawn: RowMask,
    scarce: NDArray[np.int64],
    *,
    seed: int,
    draw: int,
    leave: int,
) -> RowMask:
    """Return the draw after moving keys of scarce classes, those with the fewest keys first."""
    found: list[tuple[Keys, NDArray[np.int64]]] = []
    for _, numbers in _chunks(rows):
        members, classes = _memberships(rows.targets[numbers])
        wanted = np.isin(classes, scarce)
        found.append((rows.keys[numbers][members[wanted]], classes[wanted]))
    keys, classes = (np.concatenate(column) for column in zip(*found, strict=True))
    units, members = np.unique(keys, return_inverse=True)
    places = uniform(units, seed, draw)
    before = np.isin(units, rows.keys[rows.rows[is_drawn]])
    after, is_settled = before.copy(), np.zeros(len(units), dtype=bool)
    for holders in _holders(members, classes):
        ranked = holders[np.argsort(places[holders], kind="stable")]
        remaining = min(leave, max(len(ranked) - 1, 1))
        least = min(1, len(ranked) - remaining)
        _adjust(after, is_settled, ranked, least=least, most=len(ranked) - remaining)
        is_settled[ranked[after[ranked]][:least]] = True
        is_settled[ranked[~after[ranked]][-remaining:]] = True
    moved = is_drawn.copy()
    for chunk, numbers in _chunks(rows):
        moved[chunk] ^= np.isin(rows.keys[numbers], units[before != after])
    return moved


def _adjust(
    is_drawn: RowMask, is_settled: RowMask, ranked: NDArray[np.intp], *, least: int, most: int
) -> None:
    """Draw or return units of a class until ``least`` to ``most`` of them are drawn.

    Args:
        is_drawn: Mask ``(units,)``, which is changed in place.
        is_settled: Mask ``(units,)`` of units that an earlier class needs where they are.
        ranked: Units of the class in the order of their hashes.
        least: Minimum number of units to draw.
        most: Maximum number of units to draw.
    """
    count = int(is_drawn[ranked].sum())
    movable = ranked[~is_settled[ranked]]
    if count < least:
        is_drawn[movable[~is_drawn[movable]][: least - count]] = True
    elif count > most:
        is_drawn[movable[is_drawn[movable]][most - count :]] = False


def _holders(units: NDArray[np.intp], classes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the units of each class, beginning with the class of the fewest units."""
    count = int(units.max()) + 1
    pairs = np.unique(classes * count + units)
    holders = np.split(pairs % count, np.flatnonzero(np.diff(pairs // count)) + 1)
    return sorted(holders, key=len)


def uniform(keys: Keys, seed: int, draw: int) -> NDArray[np.float64]:
    """Hash keys ``(n,)`` to pseudo-random numbers ``(n,)`` (float64) in [0, 1)."""
    hashes = mix_keys(mix_keys(keys, seed % 2**64), draw)
    places: NDArray[np.float64] = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return places


def latest(times: NDArray[np.float64], fraction: float) -> RowMask:
    """Return a mask ``(rows,)`` of the latest rows; rows of equal times stay together.

    Args:
        times: Times ``(rows,)`` of the rows.
        fraction: Share of the rows, in [0, 1).

    Example:
        >>> latest(np.array([1.0, 4.0, 2.0, 3.0]), 0.5).tolist()
        [False, True, False, True]
    """
    count = round(fraction * len(times))
    if count == 0:
        return np.zeros(len(times), dtype=bool)
    begin = np.sort(times)[-count]
    return np.asarray(times >= begin)


def periods(times: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the period ``(rows,)`` of each row, from 0 for the oldest.

    Args:
        times: Times ``(rows,)`` of the rows.
        count: Number of periods, which have equally many rows unless times are equal.

    Example:
        >>> periods(np.array([1.0, 4.0, 2.0, 3.0]), 2).tolist()
        [0, 1, 0, 1]
    """
    begins = np.quantile(times, np.arange(1, count) / count, method="higher")
    return np.searchsorted(begins, times, side="right")


def strata(targets: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the stratum ``(rows,)`` of each row: its class, or 0 if the targets are numbers.

    The stratum of a row of several labels is its rarest label, because a fold may be left without
    rare labels (the greedy choice of Sechidis et al. 2011).

    Args:
        targets: Classes ``(rows,)``, numbers ``(rows,)``, or truth values ``(rows, labels)``.
    """
    if targets.dtype.kind == "f":
        return np.zeros(len(targets), dtype=np.int64)
    if targets.ndim == 1:
        return targets.astype(np.int64, copy=False)
    held = targets.astype(np.int64)
    rarity = np.where(held > 0, held.sum(axis=0), len(held) + 1)
    rarest: NDArray[np.int64] = np.where(held.any(axis=1), rarity.argmin(axis=1), held.shape[1])
    return rarest


def fold_numbers(
    keys: Keys, targets: NDArray[np.generic], *, folds: int, seed: int, draw: int = FOLDS
) -> NDArray[np.int64]:
    """Assign rows to folds of similar size and similar shares of every class.

    Keys of several rows are assigned one by one, the largest first, to the fold that has the fewest
    rows of their classes; the other keys are distributed in turn, class by class.

    Args:
        keys: Keys ``(rows,)`` (uint64); rows of one key get the same fold.
        targets: Classes ``(rows,)`` (int64), numbers ``(rows,)`` (float), or truth values
            ``(rows, labels)`` (uint8).
        folds: Number of folds.
        seed: Seed of the draw.
        draw: Draws of other numbers are independent of this one.

    Returns:
        Fold ``(rows,)`` (int64) of each row, from 0.
    """
    units, first, members, sizes = np.unique(
        keys, return_index=True, return_inverse=True, return_counts=True
    )
    classes, places = strata(targets), uniform(units, seed, draw)
    numbers = np.empty(len(units), dtype=np.int64)
    single = np.flatnonzero(sizes == 1)
    dealt = single[np.lexsort((places[single], classes[first[single]]))]
    numbers[dealt] = np.arange(len(dealt)) % folds
    several = np.flatnonzero(sizes > 1)
    ranked = several[np.lexsort((places[several], -sizes[several]))]
    totals = np.bincount(classes, minlength=1)
    filled = np.zeros((folds, len(totals)))
    for unit, rows in zip(ranked, _rows_of(ranked, members), strict=True):
        held = np.bincount(classes[rows], minlength=len(totals))
        crowding = (filled / totals.clip(min=1)) @ held
        numbers[unit] = fold = int(np.lexsort((filled.sum(axis=1), crowding))[0])
        filled[fold] += held
    return numbers[members]


def _rows_of(units: NDArray[np.intp], members: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield the rows of each unit."""
    order = np.argsort(members, kind="stable")
    begins = np.searchsorted(members[order], units)
    ends = np.searchsorted(members[order], units, side="right")
    return (order[begin:end] for begin, end in zip(begins, ends, strict=True))

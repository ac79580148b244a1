"""Comparing rows: which are equal, or nearly so, where they must not be."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from leyden.data.cleaning.near_duplicates import near_twins
from leyden.data.identity import Keys, find_repeated, mix_keys
from leyden.data.rows import GIVEN_SPLITS, GivenSplit

RowNumbers = NDArray[np.int64]

RowMask = NDArray[np.bool_]

TEST = GIVEN_SPLITS.index("test")

RANKS = np.array([{"test": 0, "val": 1}.get(split, 2) for split in GIVEN_SPLITS], dtype=np.uint8)
"""Of the splits in ``GIVEN_SPLITS``: rows of those that come first are the ones to keep."""

NONE = -1
"""In place of the number of a row's twin: it has none."""


class Comparison:
    """All rows while they are compared.

    Whoever shares a digest with no other row is left out of what compares equal rows, so that
    memory goes to those that may be dropped.

    Args:
        digests: ``(rows,)`` digest of each row's inputs, 16 bytes each.
        targets: ``(rows,)`` or ``(rows, labels)``.
        splits: ``(rows,)`` uint8 place of each row's split in ``GIVEN_SPLITS``.
        contexts: ``(rows,)`` uint64 hash of each row's group and time, if it has any; equal rows of
            other groups or times are observations of their own.
        signatures: ``(rows, hashes)`` that tell near-duplicates, if there are any.

    Attributes:
        keep: ``(rows,)`` rows that no step has dropped.
    """

    def __init__(
        self,
        *,
        digests: NDArray[np.void],
        targets: NDArray[np.generic],
        splits: NDArray[np.uint8],
        contexts: Keys | None = None,
        signatures: NDArray[np.uint32] | None = None,
    ) -> None:
        self.keep = np.ones(len(digests), dtype=bool)
        self._digests, self._all_splits, self._signatures = digests, splits, signatures
        self._rows = np.flatnonzero(find_repeated(digests.view(np.uint64)[::2]))
        _, self._content = np.unique(digests[self._rows], return_inverse=True)
        self._observations = self._content
        if contexts is not None:
            keys = mix_keys(contexts[self._rows], self._content.astype(np.uint64))
            _, self._observations = np.unique(keys, return_inverse=True)
        _, self._targets = np.unique(targets[self._rows], axis=0, return_inverse=True)
        self._splits = splits[self._rows]

    def drop(self, step: str) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Run one of ``STEPS``, and drop the rows that it finds but for those of the test split.

        Returns:
            The rows found, in their order, the twin of each, and the rows dropped.
        """
        found, twins = STEPS[step](self)
        dropped = found[self._all_splits[found] != TEST]
        self.keep[dropped] = False
        return found, twins, dropped

    def are_equal(self, row: int, twin: int) -> bool:
        """Tell whether two rows have the same content."""
        return bool(self._digests[row] == self._digests[twin])

    def conflicting_labels(self) -> tuple[RowNumbers, RowNumbers]:
        """Point each row to one with the same content and split but another target."""
        order = np.lexsort((self._targets, self._observations, self._splits))
        content, splits, targets = (
            key[order] for key in (self._observations, self._splits, self._targets)
        )
        first = np.ones(len(order), dtype=bool)
        first[1:] = (content[1:] != content[:-1]) | (splits[1:] != splits[:-1])
        starts = np.flatnonzero(first)
        group = np.cumsum(first) - 1
        # Targets are in order, so that where the first one ends the others begin.
        others = np.flatnonzero(targets != targets[starts[group]])
        contradicted, places = np.unique(group[others], return_index=True)
        other = np.full(len(starts), NONE)
        other[contradicted] = others[places]
        twin = np.where(targets == targets[starts[group]], other[group], starts[group])
        twins = np.full(len(order), NONE)
        there = other[group] != NONE
        twins[order[there]] = order[twin[there]]
        return self._found(twins)

    def duplicates(self) -> tuple[RowNumbers, RowNumbers]:
        """Point each repeated row to the first of its kind in the same split."""
        twins = np.full(len(self._rows), NONE)
        for code in range(len(GIVEN_SPLITS)):
            among = self.keep[self._rows] & (self._splits == code)
            first = self._first_of(among, self._observations_with_targets())
            repeats = among & (first != np.arange(len(first)))
            twins[repeats] = first[repeats]
        return self._found(twins)

    def leakage(self) -> tuple[RowNumbers, RowNumbers]:
        """Point rows of an earlier split to their equals in a later one."""
        twins = np.full(len(self._rows), NONE)
        kept = self.keep[self._rows]
        for split, later in LATER_SPLITS.items():
            codes = [GIVEN_SPLITS.index(each) for each in later]
            first = self._first_of(kept & np.isin(self._splits, codes), self._content)
            leaking = kept & (self._splits == GIVEN_SPLITS.index(split)) & (first != NONE)
            twins[leaking] = first[leaking]
        return self._found(twins)

    def near_duplicates(self) -> tuple[RowNumbers, RowNumbers]:
        """Point rows to a near-duplicate in a later split, or else an earlier one in their own."""
        if self._signatures is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        kept = np.flatnonzero(self.keep)
        order = kept[np.argsort(RANKS[self._all_splits[kept]], kind="stable")]
        twins = near_twins(
            self._signatures,
            contents=self._digests,
            order=order,
            fixed=self._all_splits == TEST,
        )
        found = np.flatnonzero(twins != NONE)
        return found, twins[found]

    def _observations_with_targets(self) -> NDArray[np.intp]:
        pairs = self._observations * (self._targets.max(initial=0) + 1) + self._targets
        return np.unique(pairs, return_inverse=True)[1]

    def _first_of(self, among: RowMask, keys: NDArray[np.intp]) -> NDArray[np.intp]:
        """Find for each row the first one among some that has its key."""
        first = np.full(keys.max(initial=-1) + 1, NONE)
        candidates = np.flatnonzero(among)[::-1]
        first[keys[candidates]] = candidates
        return first[keys]

    def _found(self, twins: NDArray[np.intp]) -> tuple[RowNumbers, RowNumbers]:
        """Number rows that have a twin, and those, as all rows are numbered."""
        found = np.flatnonzero(twins != NONE)
        return self._rows[found], self._rows[twins[found]]


LATER_SPLITS: dict[GivenSplit, tuple[GivenSplit, ...]] = {
    "val": ("test",),
    "train": ("val", "test"),
    "all": ("val", "test"),
}

STEPS: dict[str, Callable[[Comparison], tuple[RowNumbers, RowNumbers]]] = {
    "conflicting_labels": Comparison.conflicting_labels,
    "duplicates": Comparison.duplicates,
    "leakage": Comparison.leakage,
    "near_duplicates": Comparison.near_duplicates,
}
"""In the order in which they run."""

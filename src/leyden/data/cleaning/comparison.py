"""Comparison of rows: which are equal, or nearly equal, although they must not be."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cleaning.near_duplicates import find_near_duplicates
from leyden.data.identity import Keys, find_repeated, mix_keys
from leyden.data.rows import GIVEN_SPLITS, GivenSplit, Ragged

RowNumbers = NDArray[np.int64]

RowMask = NDArray[np.bool_]

TEST = GIVEN_SPLITS.index("test")

RANKS = np.array([{"test": 0, "val": 1}.get(split, 2) for split in GIVEN_SPLITS], dtype=np.uint8)
"""Rank of each split in ``GIVEN_SPLITS``; of two equal rows the one of the lower rank is kept."""

NONE = -1
"""Number in place of the twin, the row that another one equals, of a row without one."""


DIGEST_SIZE = 16
"""Length in bytes of the digest of a row's inputs."""


def digest_rows(arrays: Mapping[str, NDArray[Any] | Ragged]) -> NDArray[np.void]:
    """Return digests of the inputs of rows; inputs are equal if all of their bytes are.

    Args:
        arrays: Inputs ``(rows, ...)`` by field.

    Returns:
        Digests ``(rows,)`` of ``DIGEST_SIZE`` bytes.
    """
    columns = [
        array if isinstance(array, Ragged) else np.ascontiguousarray(array)
        for array in arrays.values()
    ]
    digests = bytearray()
    for row in zip(*columns, strict=True):
        digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
        for value in row:
            digest.update(value)
        digests += digest.digest()
    return np.frombuffer(digests, dtype=f"V{DIGEST_SIZE}")


class Comparison:
    """Comparison of all rows of a data set with each other.

    Rows whose digest no other row shares are not compared for equality, which saves their memory.

    Args:
        digests: Digests ``(rows,)`` of the rows' inputs, of 16 bytes each.
        targets: Targets ``(rows,)`` or ``(rows, labels)``.
        splits: Codes ``(rows,)`` (uint8) in ``GIVEN_SPLITS`` of the rows' splits.
        contexts: Hashes ``(rows,)`` (uint64) of the rows' groups and times, if they have any; equal
            rows of different groups or times are separate observations.
        signatures: MinHash signatures ``(rows, hashes)`` (uint32), if the rows have any.

    Attributes:
        keep: Mask ``(rows,)`` (bool) of the rows that no step has dropped.
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
        self.targets, self.splits = targets, splits
        self._digests, self._signatures = digests, signatures
        # Rows that may equal another one, and their contents, targets and groups as numbers from 0.
        self._rows = np.flatnonzero(find_repeated(digests.view(np.uint64)[::2]))
        _, self._contents = np.unique(digests[self._rows], return_inverse=True)
        _, self._classes = np.unique(targets[self._rows], axis=0, return_inverse=True)
        self._splits = splits[self._rows]
        observations = self._contents
        if contexts is not None:
            keys = mix_keys(contexts[self._rows], self._contents.astype(np.uint64))
            _, observations = np.unique(keys, return_inverse=True)
        self._groups = observations * len(GIVEN_SPLITS) + self._splits
        """Numbers that equal rows of one split and context share."""

    def drop(self, step: str) -> tuple[RowNumbers, RowNumbers, RowNumbers]:
        """Run a step, and drop the rows that it finds unless they are in the test split.

        Args:
            step: Key of ``STEPS``.

        Returns:
            Sorted numbers ``(found,)`` of the rows found, numbers ``(found,)`` of their twins, and
            numbers ``(dropped,)`` of the rows dropped, all int64.
        """
        found, twins = STEPS[step](self)
        dropped = found[self.splits[found] != TEST]
        self.keep[dropped] = False
        return found, twins, dropped

    def are_equal(self, row: int, twin: int) -> bool:
        """Whether two rows have the same content."""
        return bool(self._digests[row] == self._digests[twin])

    def conflicting_labels(self) -> tuple[RowNumbers, RowNumbers]:
        """Find the rows that equal another one of their split except for the target, and that."""
        first = self._first_of_lowest_class(np.ones(len(self._rows), dtype=bool))
        agrees = self._classes == self._classes[first]
        other = self._first_of_lowest_class(~agrees)
        return self._found(np.where(agrees, other, first))

    def duplicates(self) -> tuple[RowNumbers, RowNumbers]:
        """Find the repeated rows, targets included, and the first of each in the same split."""
        kept = self.keep[self._rows]
        keys = self._groups * (self._classes.max(initial=0) + 1) + self._classes
        first = self._first_of(kept, np.unique(keys, return_inverse=True)[1])
        return self._found(np.where(kept & (first != np.arange(len(first))), first, NONE))

    def leakage(self) -> tuple[RowNumbers, RowNumbers]:
        """Find the rows that equal one of a later split, and the first such row."""
        twins = np.full(len(self._rows), NONE)
        kept = self.keep[self._rows]
        for split, later in LATER_SPLITS.items():
            codes = [GIVEN_SPLITS.index(each) for each in later]
            first = self._first_of(kept & np.isin(self._splits, codes), self._contents)
            leaking = kept & (self._splits == GIVEN_SPLITS.index(split)) & (first != NONE)
            twins[leaking] = first[leaking]
        return self._found(twins)

    def near_duplicates(self) -> tuple[RowNumbers, RowNumbers]:
        """Find the rows that nearly equal one of a later split, or an earlier one of their own."""
        if self._signatures is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        kept = np.flatnonzero(self.keep)
        order = kept[np.argsort(RANKS[self.splits[kept]], kind="stable")]
        twins = find_near_duplicates(
            self._signatures,
            contents=self._digests,
            order=order,
            fixed=self.splits == TEST,
        )
        found = np.flatnonzero(twins != NONE)
        return found, twins[found]

    def _first_of_lowest_class(self, among: RowMask) -> NDArray[np.intp]:
        """Return for each row the first of the lowest class among some rows of its group."""
        lowest = np.full(self._groups.max(initial=-1) + 1, len(self._classes))
        np.minimum.at(lowest, self._groups[among], self._classes[among])
        return self._first_of(among & (self._classes == lowest[self._groups]), self._groups)

    def _first_of(self, among: RowMask, keys: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return for each row the first one among some rows that has the same key."""
        first = np.full(keys.max(initial=-1) + 1, NONE)
        candidates = np.flatnonzero(among)[::-1]
        first[keys[candidates]] = candidates
        return first[keys]

    def _found(self, twins: NDArray[np.intp]) -> tuple[RowNumbers, RowNumbers]:
        """Return the numbers, among all rows, of the rows that have a twin, and of the twins."""
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
"""Methods of ``Comparison`` by step, in the order in which they run."""

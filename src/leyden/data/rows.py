"""Rows as a source yields them, before cleaning."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from leyden.data.identity import Keys

Split = Literal["train", "val", "test"]

SPLITS: tuple[Split, ...] = get_args(Split)

GivenSplit = Literal["all", "train", "val", "test"]
"""Split that the source assigns a row to; ``all`` if the data module's splitter assigns it."""

GIVEN_SPLITS: tuple[GivenSplit, ...] = get_args(GivenSplit)
"""In the order of the codes that stand for them in arrays."""


class UnreadableError(Exception):
    """One item of a source can't be read; the message says why."""


@dataclass(frozen=True, kw_only=True)
class RejectedItem:
    """An item of the source that did not become a row, and the cleaning step that says so.

    One that is not dropped became a row all the same, and is only reported: a step found fault
    with it, but it stands in the test split that the source sets apart.

    Attributes:
        source: Name of the item, for people.
        reason: Why it did not become a row.
        step: The cleaning step that says so.
        dropped: Whether it did not become a row.
        target: Its class, by name or index, if it is known.
        count: Number of items of which this one is an example.
    """

    source: str
    reason: str
    step: str = "unreadable"
    dropped: bool = True
    target: str | int | None = None
    count: int = 1


@dataclass(frozen=True, kw_only=True)
class Ragged:
    """Rows of uneven length in one flat array.

    Attributes:
        values: all rows, one after the other.
        offsets: ``(rows + 1,)`` int64; row ``i`` is ``values[offsets[i] : offsets[i + 1]]``.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Iterable[NDArray[Any]], *, dtype: np.dtype[Any]) -> "Ragged":
        """Join rows ``(length,)``, of which there may be none."""
        arrays = list(rows)
        ends = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
        return cls(values=np.concatenate([np.empty(0, dtype), *arrays], dtype=dtype), offsets=ends)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> NDArray[Any]:
        return self.values[self.offsets[row] : self.offsets[row + 1]]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[row] for row in range(len(self)))


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A chunk of consecutive rows.

    Attributes:
        arrays: the inputs in their compact dtype, ``(rows, ...)`` or ragged each.
        targets: ``(rows,)`` class names (str), indices (int64) where the data set declares its
            ``class_names``, or numbers (float) to predict; or ``(rows, labels)`` truths (bool)
            where a row may have several labels; zeros where there are sequences.
        split: the split that the source puts these rows in.
        sources: where each row came from, for people: a path or a row number.
        rejected: items of this chunk that did not become rows.
        keys: ``(rows,)`` uint64 hash of what identifies each row; that of its source by default,
            which is right for paths. Rows of a table, which have only a number, give one of their
            content, so that equal rows get the same split.
        groups: ``(rows,)`` names of what must not be torn apart by a split, such as a speaker.
        changed: how many of these rows a cleaning step of the kind changed, by step.
        sequences: targets that are sequences; the cache keeps them as the array ``sequences``.
        signatures: ``(rows, hashes)`` whose share of equal columns tells how alike two rows are.
        times: ``(rows,)`` numbers that order the rows in time, to split by.
        label_names: of the columns of targets ``(rows, labels)``.
        facts: what the kind has to know of the rows to read them from the cache, as plain values
            that JSON can hold; those of a later chunk replace earlier ones of the same name.
    """

    arrays: Mapping[str, NDArray[Any] | Ragged]
    targets: NDArray[np.generic]
    split: GivenSplit
    sources: Sequence[str]
    rejected: Sequence[RejectedItem] = ()
    keys: Keys | None = None
    groups: NDArray[np.str_] | None = None
    changed: Mapping[str, int] = field(default_factory=dict)
    sequences: Ragged | None = None
    signatures: NDArray[np.uint32] | None = None
    times: NDArray[np.float64] | None = None
    label_names: Sequence[str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

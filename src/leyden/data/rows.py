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
"""Split that a source assigns a row to; ``all`` if the splitter assigns it."""

GIVEN_SPLITS: tuple[GivenSplit, ...] = get_args(GivenSplit)
"""Given splits in the order of their codes in arrays."""


class UnreadableError(Exception):
    """Raised if an item of a source cannot be read; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class RejectedItem:
    """Finding of a cleaning step on an item of a source when it is read.

    An item that is not dropped is a row nevertheless: in the test split of the source, findings are
    reported only.

    Attributes:
        source: Display name of the item.
        reason: Description of what is wrong with the item.
        step: Name of the cleaning step.
        dropped: Whether the item is not a row.
        target: Class of the item, by name or index, if it is known.
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
        values: Concatenated rows.
        offsets: ``(rows + 1,)`` int64; row ``i`` is ``values[offsets[i] : offsets[i + 1]]``.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Iterable[NDArray[Any]], *, dtype: np.dtype[Any]) -> "Ragged":
        """Concatenate any number of rows ``(length,)`` of one dtype."""
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
        arrays: Inputs by name of the field, each ``(rows, ...)`` or ragged, in a compact dtype.
        targets: Class names ``(rows,)`` (str); class indices ``(rows,)`` (int64) if the data set
            declares its ``class_names``; numbers to predict ``(rows,)`` (float); or truth values
            ``(rows, labels)`` (bool) if a row may have several labels. Zeros if the targets are
            sequences.
        split: Split that the source assigns these rows to.
        sources: Display name of each row: a path or a row number.
        rejected: Items of this chunk that did not become rows, and findings on those that did.
        keys: Hashes ``(rows,)`` (uint64) that identify the rows; those of ``sources`` by default,
            which is right for paths. Rows of a table give hashes of their content, so that equal
            rows get the same split.
        groups: Names ``(rows,)`` of what must stay in one split, such as a speaker.
        changed: Number of rows that a cleaning step of the kind changed, by step.
        sequences: Target sequences; the cache keeps them as the array ``sequences``.
        signatures: MinHash signatures ``(rows, hashes)`` (uint32) of the rows.
        times: Times ``(rows,)`` to split by.
        label_names: Names of the columns of targets ``(rows, labels)``.
        facts: What the kind needs in order to read the rows from the cache, as values that JSON
            can hold; those of a later chunk replace earlier ones of the same name.
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

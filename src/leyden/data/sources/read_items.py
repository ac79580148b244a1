"""Reading of listed items, such as files, into chunks of rows."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from leyden.data.rows import GivenSplit, Ragged, RejectedItem, Rows, UnreadableError
from leyden.data.sources.folders import LabelledFile
from leyden.errors import UserError


class Item(Protocol):
    """Row of a data set before it is read, such as ``LabelledFile``."""

    @property
    def source(self) -> str:
        """Display name of the row."""

    @property
    def split(self) -> GivenSplit:
        """Split that the source assigns the row to."""

    @property
    def group(self) -> str | None:
        """Name of what must stay in one split; all items have one, or none."""

    @property
    def target(self) -> str | None:
        """Class name; ``None`` if the targets are sequences."""


AnyItem = TypeVar("AnyItem", bound=Item)
Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class ReadItems(Generic[AnyItem, Value]):
    """Consecutive items of one split after reading.

    Attributes:
        split: Split of the items.
        items: Items that became rows.
        values: Value that was read for each of these items.
        rejected: Items that did not become rows, and findings on those that did.
    """

    split: GivenSplit
    items: Sequence[AnyItem]
    values: Sequence[Value]
    rejected: Sequence[RejectedItem]

    def rows(
        self, arrays: Mapping[str, NDArray[Any] | Ragged], sequences: Ragged | None = None
    ) -> Rows:
        """Build the chunk of rows.

        Args:
            arrays: Inputs by name of the field, ``(rows, ...)`` or ragged, made of the values.
            sequences: Target sequences; ``None`` if the targets are the class names of the items.
        """
        names = [item.target for item in self.items]
        groups = [item.group for item in self.items if item.group is not None]
        return Rows(
            arrays=arrays,
            targets=np.array(names, str) if sequences is None else np.zeros(len(names), np.int64),
            sequences=sequences,
            split=self.split,
            sources=[item.source for item in self.items],
            rejected=self.rejected,
            groups=np.array(groups, dtype=str) if groups else None,
        )


def read_items(
    items: Iterable[AnyItem],
    read: Callable[[AnyItem], tuple[Value, RejectedItem | None]],
    *,
    per_chunk: int,
) -> Iterator[ReadItems[AnyItem, Value]]:
    """Read items in chunks, each of one split.

    Args:
        items: Items, split by split.
        read: Function that returns the value of an item and the finding of a cleaning step on it,
            or ``None``; it raises ``UnreadableError`` if the item cannot be read.
        per_chunk: Maximum number of items in a chunk.
    """
    for split, members in groupby(items, key=lambda item: item.split):
        while chunk := list(islice(members, per_chunk)):
            yield _read_chunk(split, chunk, read)


def _read_chunk(
    split: GivenSplit,
    items: Sequence[AnyItem],
    read: Callable[[AnyItem], tuple[Value, RejectedItem | None]],
) -> ReadItems[AnyItem, Value]:
    kept: list[AnyItem] = []
    values: list[Value] = []
    rejected: list[RejectedItem] = []
    for item in items:
        try:
            value, finding = read(item)
        except UnreadableError as error:
            rejected.append(RejectedItem(source=item.source, reason=str(error), target=item.target))
            continue
        if finding:
            rejected.append(replace(finding, target=item.target))
        if not (finding and finding.dropped):
            kept.append(item)
            values.append(value)
    return ReadItems(split=split, items=kept, values=values, rejected=rejected)


def require_every_class(
    files: Sequence[LabelledFile], chunks: Iterable[Rows], *, name: str
) -> Iterator[Rows]:
    """Yield the chunks unchanged, and raise after the last one if a class has no row.

    Args:
        files: All files of the data set.
        chunks: Rows that were read from the files, with class names as targets.
        name: Name of the data set, for the message.

    Raises:
        UserError: If a class of the files has no row, while another has.
    """
    left: set[str] = set()
    for rows in chunks:
        left.update(rows.targets.tolist())
        yield rows
    lost = sorted({file.target for file in files} - left)
    if lost and left:
        raise UserError(
            f"Not one file of {', '.join(lost)} in {name} can be read and passes the cleaning. "
            "Fix or replace the files, remove the class, or relax data.cleaning."
        )

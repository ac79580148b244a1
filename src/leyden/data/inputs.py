"""Rows to predict on, in chunks."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, pairwise
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from leyden.arrays import Arrays
from leyden.data.parts import Counts
from leyden.data.rows import RejectedItem, UnreadableError
from leyden.errors import UserError
from leyden.schema import Field

LONGEST_NAME = 255
"""Characters of an uploaded file's name that are shown."""

LONGEST_REASON = 500
"""Characters of a reason, which may quote a cell of any length."""

Source = TypeVar("Source")
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A chunk of rows to predict on.

    Attributes:
        names: Display names of the rows: the path of a file, or a row of it.
        fields: Arrays ``(rows, ...)`` by name; empty if the chunk has no rows.
        rejected: Items that cannot be read, and so are not rows.
        kept: Cells ``(rows,)`` of the columns of a table that are kept beside the predictions.
        counts: Counts of the cells of a table.
    """

    names: Sequence[str]
    fields: Arrays
    rejected: Sequence[RejectedItem] = ()
    kept: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    counts: Counts = field(default_factory=dict)


def read_each(
    named: Iterable[tuple[str, Source]],
    read: Callable[[Source], Item],
    joined: Callable[[list[Item]], Arrays],
) -> Inputs:
    """Read sources that hold one row each.

    Args:
        named: Sources and their names.
        read: Function that reads a source, or raises ``UnreadableError``.
        joined: Function that joins one or more of its results to arrays ``(rows, ...)`` by name.
    """
    names, items, rejected = [], [], []
    for name, source in named:
        try:
            items.append(read(source))
            names.append(name)
        except UnreadableError as error:
            rejected.append(RejectedItem(source=name, reason=str(error)))
    return Inputs(names=names, fields=joined(items) if items else {}, rejected=rejected)


def display_name(name: str) -> str:
    """Return the end of a client's name of a file, which is shown with each of its rows."""
    return name[-LONGEST_NAME:]


def shortened(reason: str) -> str:
    """Return a reason, or its beginning."""
    return reason if len(reason) <= LONGEST_REASON else f"{reason[:LONGEST_REASON]}…"


def reject_file(name: str, reason: str) -> Inputs:
    """Return a chunk without rows, whose rejected item is the file."""
    item = RejectedItem(source=display_name(name), reason=shortened(reason))
    return Inputs(names=[], fields={}, rejected=[item])


def rename_inputs(inputs: Inputs, path: str, name: str) -> Inputs:
    """Return rows with the path of a temporary file replaced by the name to show."""
    rejected = [
        replace(
            item,
            source=item.source.replace(path, name),
            reason=shortened(item.reason.replace(path, name)),
        )
        for item in inputs.rejected
    ]
    return replace(
        inputs, names=[each.replace(path, name) for each in inputs.names], rejected=rejected
    )


def join_values(fields: Sequence[Field], parts: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """Join the values of several requests to those of one batch.

    Args:
        fields: Descriptions of the values.
        parts: Values ``(rows, ...)`` by name. Sizes that vary are padded with zeros.

    Returns:
        Values ``(all rows, ...)`` by name; empty if there is no part.
    """
    return {field.name: _join([part[field.name] for part in parts]) for field in fields if parts}


def _join(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len({array.shape[1:] for array in arrays}) == 1:
        return np.concatenate(arrays)
    sizes = np.max([array.shape[1:] for array in arrays], axis=0).tolist()
    joined = np.zeros((sum(map(len, arrays)), *sizes), arrays[0].dtype)
    start = 0
    for array in arrays:
        joined[(slice(start, start + len(array)), *map(slice, array.shape[1:]))] = array
        start += len(array)
    return joined


def flag_last(items: Iterable[Item]) -> Iterator[tuple[Item, bool]]:
    """Yield the items, and whether each is the last one.

    >>> list(flag_last("ab"))
    [('a', False), ('b', True)]
    """
    end = object()
    for item, later in pairwise(chain(items, [end])):
        yield cast("Item", item), later is end


def chunks_with_rows(chunks: Iterable[Inputs]) -> Iterator[Inputs]:
    """Yield the chunks that have rows.

    Raises:
        UserError: If some items cannot be read; raised after all chunks.
    """
    rejected: list[RejectedItem] = []
    for chunk in chunks:
        rejected.extend(chunk.rejected)
        if chunk.names:
            yield chunk
    if rejected:
        raise unreadable(rejected[0], others=len(rejected) - 1)


def unreadable(first: RejectedItem, *, others: int) -> UserError:
    """Return the error of items that cannot be read, of which the first is named."""
    more = f", nor can {others} more" if others else ""
    return UserError(
        f"{first.source} can't be read: {first.reason}{more}. Fix the inputs that have no row "
        "here, or leave them out of input=."
    )

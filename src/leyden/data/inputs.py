"""Chunks of rows to predict on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from leyden.data.rows import RejectedItem, UnreadableError

FILES_PER_CHUNK = 256
"""Number of files whose rows are in memory together."""

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A chunk of rows to predict on.

    Attributes:
        names: Display names of the rows: the path of a file, or a row of it.
        fields: Raw fields ``(rows, ...)`` by name, in the dtypes of the cache; empty if the chunk
            has no rows.
        rejected: Items that cannot be read, and so are not rows.
    """

    names: Sequence[str]
    fields: Mapping[str, NDArray[Any]]
    rejected: Sequence[RejectedItem] = ()


def read_files(
    files: Sequence[Path],
    read: Callable[[Path], Item],
    joined: Callable[[list[Item]], Mapping[str, NDArray[Any]]],
) -> Iterator[Inputs]:
    """Yield the rows of files that hold one row each.

    Args:
        files: Paths of the files.
        read: Function that reads a file, or raises ``UnreadableError``.
        joined: Function that joins one or more of its results to raw fields ``(rows, ...)``.
    """
    for start in range(0, len(files), FILES_PER_CHUNK):
        names, items, rejected = [], [], []
        for file in files[start : start + FILES_PER_CHUNK]:
            try:
                items.append(read(file))
                names.append(str(file))
            except UnreadableError as error:
                rejected.append(RejectedItem(source=str(file), reason=str(error)))
        yield Inputs(names=names, fields=joined(items) if items else {}, rejected=rejected)

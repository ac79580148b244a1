"""Rows to predict on, in chunks, and the readers that yield them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from numpy.typing import NDArray

from leyden.data.rows import RejectedItem, UnreadableError
from leyden.errors import UserError
from leyden.schema import Field

FILES_PER_CHUNK = 256
"""Number of files whose rows are in memory together."""

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """A chunk of rows to predict on.

    Attributes:
        names: Display names of the rows: the path of a file, or a row of it.
        fields: Arrays ``(rows, ...)`` by name; empty if the chunk has no rows.
        rejected: Items that cannot be read, and so are not rows.
    """

    names: Sequence[str]
    fields: Mapping[str, NDArray[Any]]
    rejected: Sequence[RejectedItem] = ()


@dataclass(frozen=True, kw_only=True)
class Reader(ABC):
    """Reads files to predict on as the values that an exported network takes.

    It does not import torch, and can be written as JSON, so that an exported network comes with the
    reader of the data that it was trained on.
    """

    kind: ClassVar[str]
    """Name of the reader in an exported network."""

    attachments: ClassVar[Mapping[str, str]] = {}
    """File of its own for a setting that is a long text, by name of the setting."""

    @abstractmethod
    def read(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read rows chunk by chunk; their ``fields`` are those that ``values`` describes.

        Args:
            paths: Paths of files, and of folders whose files are read.

        Raises:
            UserError: If a path does not exist, or a folder holds no file of this kind.
        """

    @property
    @abstractmethod
    def values(self) -> tuple[Field, ...]:
        """Description of the values, each ``(batch, ...)``."""

    def readable(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Convert predictions that are in units of the data, such as token ids, to plain values."""
        return dict(columns)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """Build the reader from the result of ``to_json``."""
        return cls(**settings)


def read_files(
    files: Sequence[Path],
    read: Callable[[Path], Item],
    joined: Callable[[list[Item]], Mapping[str, NDArray[Any]]],
) -> Iterator[Inputs]:
    """Yield the rows of files that hold one row each.

    Args:
        files: Paths of the files.
        read: Function that reads a file, or raises ``UnreadableError``.
        joined: Function that joins one or more of its results to arrays ``(rows, ...)`` by name.
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
        raise _unreadable(rejected)


def _unreadable(rejected: Sequence[RejectedItem]) -> UserError:
    first, others = rejected[0], len(rejected) - 1
    more = f", nor can {others} more" if others else ""
    return UserError(
        f"{first.source} can't be read: {first.reason}{more}. Fix the inputs that have no row "
        "here, or leave them out of input=."
    )

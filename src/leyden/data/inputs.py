"""Rows to predict on, in chunks, and the readers that yield them."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, groupby, pairwise
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar, cast

from numpy.typing import NDArray

from leyden.data.parts import CellCounts, Counts, FilePart, Keep, Part, file_parts, table_parts
from leyden.data.rows import RejectedItem, UnreadableError
from leyden.data.sources.tables import TableFile
from leyden.errors import UserError
from leyden.schema import Field

log = logging.getLogger(__name__)

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
    fields: Mapping[str, NDArray[Any]]
    rejected: Sequence[RejectedItem] = ()
    kept: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    counts: Counts = field(default_factory=dict)


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

    rows_per_part: ClassVar[int] = 4096
    """Largest number of rows in a part of a table."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns of a table that the network reads; empty for other files."""
        return ()

    @property
    def target(self) -> str | None:
        """Name of what the network predicts, if the data have one."""
        return None

    @abstractmethod
    def files(self, paths: Sequence[str]) -> list[Path]:
        """List the files to read.

        Args:
            paths: Paths of files, and of folders whose files are read.

        Raises:
            UserError: If a path does not exist, or a folder holds no file of this kind.
        """

    def table(self, path: Path) -> TableFile | None:  # noqa: ARG002
        """Return a file as a table; ``None`` if it holds one row."""
        return None

    @abstractmethod
    def read_part(self, part: Part) -> Inputs:
        """Read the rows of a part; their ``fields`` are those that ``values`` describes."""

    def parts(self, files: Sequence[Path], *, keep: Keep = ()) -> Iterator[Part]:
        """Divide files into parts, each of which any process can read on its own.

        Args:
            files: Files of ``files``.
            keep: Columns of tables to keep beside the predictions.

        Raises:
            UserError: If a table cannot be read or lacks a column, or there are columns to keep and
                a file is not a table.
        """
        for are_tables, group in groupby(files, key=lambda file: self.table(file) is not None):
            if are_tables:
                for table in filter(None, map(self.table, group)):
                    keep = table.column_names() if keep == "all" else keep
                    yield from table_parts(table, self.columns, keep=keep, size=self.rows_per_part)
            elif keep:
                raise UserError(
                    f"{next(group)} is not a table, so that it has no columns to keep. Expected "
                    "tables, or no columns=."
                )
            else:
                yield from file_parts(group)

    def read(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read the rows of files, part by part.

        Args:
            paths: Paths of files, and of folders whose files are read.

        Raises:
            UserError: If files cannot be read, or no cell of a column is known.
        """
        findings = Findings(self)
        for part, is_last in flag_last(self.parts(self.files(paths))):
            inputs = self.read_part(part)
            findings.add(inputs.counts, is_last=is_last)
            yield inputs
        findings.warn()

    def check(self, counts: Counts, *, is_last: bool) -> None:  # noqa: ARG002
        """Raise if the cells of a column are not such as the network knows.

        Args:
            counts: Counts of the cells up to a part.
            is_last: Whether it is the last part.

        Raises:
            UserError: If a column has cells, but no known one.
        """
        assert not counts

    def warnings(self, counts: Counts) -> Iterable[str]:  # noqa: ARG002
        """Describe cells that the network does not know."""
        return ()

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


class Findings:
    """What is found about the cells of tables, part by part.

    Args:
        reader: Reads the tables.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._counts: dict[str, CellCounts] = {}

    def add(self, counts: Counts, *, is_last: bool) -> None:
        """Add the counts of the next part.

        Raises:
            UserError: If no cell of a column is known so far.
        """
        for name, found in counts.items():
            self._counts[name] = self._counts.get(name, CellCounts()) + found
        self._reader.check(self._counts, is_last=is_last)

    def warn(self) -> None:
        """Log a warning for each kind of cells that the network does not know."""
        for message in self._reader.warnings(self._counts):
            log.warning("%s", message)


def flag_last(items: Iterable[Item]) -> Iterator[tuple[Item, bool]]:
    """Yield the items, and whether each is the last one.

    >>> list(flag_last("ab"))
    [('a', False), ('b', True)]
    """
    end = object()
    for item, later in pairwise(chain(items, [end])):
        yield cast("Item", item), later is end


def read_files(
    part: Part,
    read: Callable[[Path], Item],
    joined: Callable[[list[Item]], Mapping[str, NDArray[Any]]],
) -> Inputs:
    """Read files that hold one row each.

    Args:
        part: The files.
        read: Function that reads a file, or raises ``UnreadableError``.
        joined: Function that joins one or more of its results to arrays ``(rows, ...)`` by name.
    """
    assert isinstance(part, FilePart)
    names, items, rejected = [], [], []
    for file in part.files:
        try:
            items.append(read(file))
            names.append(str(file))
        except UnreadableError as error:
            rejected.append(RejectedItem(source=str(file), reason=str(error)))
    return Inputs(names=names, fields=joined(items) if items else {}, rejected=rejected)


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

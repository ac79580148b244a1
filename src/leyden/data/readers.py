"""Readers of files and JSON rows to predict on, and what they find, without torch."""

import logging
import re
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar, Self, TypeVar

from numpy.typing import NDArray

from leyden.arrays import Arrays
from leyden.data.inputs import (
    Inputs,
    display_name,
    flag_last,
    join_values,
    read_each,
    reject_file,
    rename_inputs,
)
from leyden.data.json_values import file_of
from leyden.data.parts import CellCounts, Counts, FilePart, Keep, Part, file_parts, table_parts
from leyden.data.rows import UnreadableError
from leyden.data.sources.tables import TableFile
from leyden.errors import UserError
from leyden.schema import Field

log = logging.getLogger(__name__)

SUFFIX = re.compile(r"\.[a-z0-9]{1,9}(\.gz)?$", re.ASCII)
"""End of a lower-case file name that may name a format."""

COMPRESSED = (b"\x1f\x8b", b"PAR1")
"""Beginnings of gzip and Parquet, of which a small file may hold a huge table."""

JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"

Source = TypeVar("Source")
Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Largest inputs that a reader accepts from others; ``None`` for no limit.

    Attributes:
        pixels: Pixels of an image as it is encoded.
        seconds: Length of a sound as it is encoded.
        rows: Rows of one file.
    """

    pixels: int | None = None
    seconds: float | None = None
    rows: int | None = None


@dataclass(frozen=True, kw_only=True)
class Reader(ABC):
    """Reads files and JSON rows to predict on as the values that an exported network takes.

    It does not import torch, and can be written as JSON, so that an exported network comes with the
    reader of the data that it was trained on. Several threads may read at once.

    Attributes:
        limits: Largest inputs that are accepted; not written as JSON.
    """

    limits: Limits = field(default_factory=Limits)

    kind: ClassVar[str]
    """Name of the reader in an exported network."""

    attachments: ClassVar[Mapping[str, str]] = {}
    """File of its own for a setting that is a long text, by name of the setting."""

    rows_per_part: ClassVar[int] = 4096
    """Largest number of rows in a part of a table."""

    block_bytes: ClassVar[int] = 1 << 18
    """Number of bytes of a table that are parsed at once; no row may be longer."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns of a table that the network reads; empty for other files."""
        return ()

    @property
    def target(self) -> str | None:
        """Name of what the network predicts, if the data have one."""
        return None

    @property
    def unit(self) -> str | None:
        """Unit of a predicted number, if it is known."""
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
                    # All rows of a file have the same columns: those of the first table.
                    keep = table.column_names() if keep == "all" else keep
                    yield from table_parts(
                        table,
                        self.columns,
                        keep=keep,
                        size=self.rows_per_part,
                        block_bytes=self.block_bytes,
                    )
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
        return self._read(self.files(paths))

    def _read(self, files: Sequence[Path]) -> Iterator[Inputs]:
        findings = Findings(self)
        for part, is_last in flag_last(self.parts(files)):
            inputs = self.read_part(part)
            items = len(inputs.names) + len(inputs.rejected)
            findings.add(items, inputs.counts, is_last=is_last)
            yield inputs
        findings.finish(files)

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

    @property
    @abstractmethod
    def row_schema(self) -> dict[str, Any]:
        """JSON Schema, draft 2020-12, of a row as a client writes it: an object."""

    @abstractmethod
    def decode_rows(self, rows: Sequence[Any]) -> Inputs:
        """Decode JSON rows, named ``row 0`` and so on, into what ``values`` describes.

        Args:
            rows: Values of any JSON type. Those that ``row_schema`` does not describe are rejected,
                whatever they are; the others are decoded.
        """

    @abstractmethod
    def encode_row(self, values: Arrays, row: int) -> dict[str, Any]:
        """Return a JSON row that decodes to the values of one row, up to rounding.

        Args:
            values: Values ``(rows, ...)`` by name.
            row: Index of the row.
        """

    def decode_file(self, name: str, content: bytes) -> Inputs:
        """Read the rows of an uploaded file, with the code of ``read``.

        The file is rejected as a whole if it is damaged, or if it has more than ``limits.rows``
        rows, of which the rest is not read.

        Args:
            name: Name that the client gave the file: its suffix may tell the format, and it is
                shown with the rows. It never becomes a path.
            content: Content of the file.
        """
        if content.startswith(COMPRESSED) and self.limits.rows is not None:
            return reject_file(name, "compressed tables are refused; send CSV or JSON lines")
        suffix = SUFFIX.search(name.lower())
        with NamedTemporaryFile(prefix="leyden-", suffix=suffix[0] if suffix else "") as file:
            file.write(content)
            file.flush()
            try:
                inputs = self._read_limited(file.name)
            except (UserError, UnreadableError, RecursionError) as error:
                inputs = reject_file(file.name, str(error))
            return rename_inputs(inputs, file.name, display_name(name))

    def limited(self, limits: Limits) -> Self:
        """Return a copy that rejects inputs beyond some limits, before memory is used for them."""
        limited = copy(self)  # keeps what has been computed, such as a tokenizer
        object.__setattr__(limited, "limits", limits)
        return limited

    def has_more_rows(self, path: str, rows: int) -> bool:
        """Whether a file has more than some number of rows, of which little more are parsed."""
        table = self.table(Path(path))
        return rows < 1 if table is None else table.has_more_rows(rows)

    def _read_limited(self, path: str) -> Inputs:
        """Read all rows of one file.

        Raises:
            UnreadableError: If the file has more than ``limits.rows`` rows.
        """
        most = self.limits.rows
        if most is not None and self.has_more_rows(path, most):
            raise UnreadableError(f"has more than {most} rows; send it in pieces")
        chunks = list(self.read([path]))
        return Inputs(
            names=[name for chunk in chunks for name in chunk.names],
            fields=join_values(self.values, [chunk.fields for chunk in chunks if chunk.names]),
            rejected=[item for chunk in chunks for item in chunk.rejected],
        )

    def readable(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Convert predictions that are in units of the data, such as token ids, to plain values."""
        return dict(columns)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold."""
        return {name: value for name, value in vars(self).items() if name != "limits"}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """Build the reader from the result of ``to_json``."""
        return cls(**settings)


@dataclass(frozen=True, kw_only=True)
class FileReader(Reader):
    """Base of readers of files that hold one row each, which JSON rows hold in base64."""

    key: ClassVar[str]
    """Key of the file in a JSON row."""

    media: ClassVar[str]
    """Type of its content, such as ``image``."""

    @property
    @abstractmethod
    def description(self) -> str:
        """Description of the file in ``row_schema``."""

    @abstractmethod
    def decode(self, source: Path | bytes) -> NDArray[Any]:
        """Decode a file, or its content, within ``limits``.

        Raises:
            UnreadableError: If it is damaged, or beyond the limits.
        """

    @abstractmethod
    def encode(self, values: Arrays, row: int) -> bytes:
        """Encode the values of one row as a file, without loss."""

    @abstractmethod
    def join(self, items: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Join one or more results of ``decode`` to arrays ``(rows, ...)`` by name."""

    @property
    def row_schema(self) -> dict[str, Any]:
        """An object with the content of a file."""
        return object_schema(
            {
                self.key: {
                    "type": "string",
                    "contentEncoding": "base64",
                    "contentMediaType": f"{self.media}/*",
                    "description": self.description,
                }
            }
        )

    def decode_rows(self, rows: Sequence[Any]) -> Inputs:
        """Decode the files in JSON rows."""
        return read_each(
            number_rows(rows), lambda row: self.decode(file_of(row, self.key)), self.join
        )

    def read_part(self, part: Part) -> Inputs:
        """Decode files."""
        return read_files(part, lambda _, source: self.decode(source), self.join)

    def decode_file(self, name: str, content: bytes) -> Inputs:
        """Decode an uploaded file from memory, whatever its name."""
        return read_each([(display_name(name), content)], self.decode, self.join)

    def encode_row(self, values: Arrays, row: int) -> dict[str, Any]:
        """Return a JSON row with a file of one row's values."""
        return {self.key: b64encode(self.encode(values, row)).decode()}


class Findings:
    """What is found in inputs, part by part.

    Args:
        reader: Reads the inputs.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._items = 0
        self._counts: dict[str, CellCounts] = {}

    def add(self, items: int, counts: Counts, *, is_last: bool) -> None:
        """Add the next part.

        Args:
            items: Number of its rows, and of items that cannot be read.
            counts: Counts of its cells.
            is_last: Whether it is the last part.

        Raises:
            UserError: If no cell of a column is known so far.
        """
        self._items += items
        for name, found in counts.items():
            self._counts[name] = self._counts.get(name, CellCounts()) + found
        self._reader.check(self._counts, is_last=is_last)

    def finish(self, files: Sequence[Path]) -> None:
        """Log a warning for each kind of cells that the network does not know.

        Args:
            files: The inputs, for the message.

        Raises:
            UserError: If there is no row.
        """
        if not self._items:
            raise UserError(f"{', '.join(map(str, files))}: no row to predict.")
        for message in self._reader.warnings(self._counts):
            log.warning("%s", message)


def object_schema(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the JSON Schema of an object that has some properties, and may have others."""
    return {
        "$schema": JSON_SCHEMA,
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
    }


def number_rows(rows: Iterable[Source]) -> Iterator[tuple[str, Source]]:
    """Yield JSON rows with their names."""
    return ((f"row {number}", row) for number, row in enumerate(rows))


def read_files(
    part: Part, read: Callable[[str, Path | bytes], Item], joined: Callable[[list[Item]], Arrays]
) -> Inputs:
    """Read files that hold one row each.

    Args:
        part: The files.
        read: Function of the name of a file, and of its path or its content; it raises
            ``UnreadableError`` if the file cannot be read.
        joined: Function that joins one or more of its results to arrays ``(rows, ...)`` by name.
    """
    assert isinstance(part, FilePart)
    sources: Sequence[Path | bytes] = part.files if part.content is None else [part.content]
    named = [(str(file), each) for file, each in zip(part.files, sources, strict=True)]
    return read_each([(each[0], each) for each in named], lambda each: read(*each), joined)

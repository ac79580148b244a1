"""JSON tables: one object per line, or an array of objects, whose keys may differ."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from leyden.data.sources.arrow import Fault, RawRows, json_cell, string_array
from leyden.data.sources.encodings import UNDECODABLE
from leyden.data.values import normal

BLOCK_BYTES = 1 << 24
"""Bytes of lines that are parsed together."""

Block = tuple[dict[int, dict[str, Any]], list[Fault]]
"""Objects by their number, and the lines or elements that are not objects."""


class JsonNumber(str):
    """A number as it is written in JSON, unlike a string of digits."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class JsonFormat:
    """How a JSON file is written.

    Attributes:
        may_be_array: Whether it may be one array, which is parsed at once.
    """

    may_be_array: bool

    def names(self, stream: IO[bytes], enough: Sequence[str] | None = None) -> list[str]:
        """List the keys of all objects, because any object may have a new one.

        Args:
            stream: The file in UTF-8.
            enough: Names after which, once all of them are found, the search ends.

        Raises:
            ValueError: If there are lines, but no object.
        """
        names: dict[str, None] = {}
        count, first_faults = 0, []
        for objects, faults in self._blocks(stream):
            count += len(objects)
            first_faults += faults[:1]
            names |= dict.fromkeys(name for row in objects.values() for name in row)
            if enough is not None and names.keys() >= set(enough):
                break
        if first_faults and not count:
            number, reason = first_faults[0]
            raise ValueError(f"no line of it holds a JSON object; line {number}: {reason}")
        return list(names)

    def rows(
        self, stream: IO[bytes], wanted: Sequence[str], names: Mapping[str, str]
    ) -> Iterator[RawRows]:
        """Parse some columns of a file.

        Args:
            stream: The file in UTF-8.
            wanted: The columns to parse.
            names: The key of each column.
        """
        for objects, faults in self._blocks(stream):
            cells = {
                name: [json_cell(row.get(names[name])) for row in objects.values()]
                for name in wanted
            }
            numbers = {
                name
                for name, column in cells.items()
                if all(isinstance(cell, JsonNumber | None) for cell in column)
            }
            columns = {name: string_array(column) for name, column in cells.items()}
            yield RawRows(columns, list(objects), faults, numbers)

    def _blocks(self, stream: IO[bytes]) -> Iterator[Block]:
        """Parse lines together, but not those that are empty."""
        numbers = itertools.count(1)
        may_be_array = self.may_be_array
        while lines := stream.readlines(BLOCK_BYTES):
            if may_be_array and lines[0].lstrip().startswith(b"["):
                elements = _parse(b"".join([*lines, stream.read()]))
                yield _block(enumerate(elements, start=1), _object)
                return
            may_be_array = False
            numbered = zip(lines, numbers, strict=False)  # in this order no number is lost
            yield _block(((number, line) for line, number in numbered if line.strip()), _line)


def _block(items: Iterable[tuple[int, Any]], convert: Callable[[Any], dict[str, Any]]) -> Block:
    objects, faults = {}, []
    for number, item in items:
        try:
            objects[number] = convert(item)
        except ValueError as error:
            faults.append((number, str(error)))
    return objects, faults


def _line(line: bytes) -> dict[str, Any]:
    if UNDECODABLE.encode() in line:
        raise ValueError(
            "not valid in the encoding of the file; give it, such as data.encoding=cp1252"
        )
    return _object(_parse(line))


def _object(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # caught with the faults of json
    # Half a surrogate pair is allowed in JSON, and cannot be encoded.
    "".join(value for value in row.values() if isinstance(value, str)).encode()
    return row if all(map(_is_normal, row)) else {normal(name): row[name] for name in row}


def _parse(content: bytes) -> Any:
    return json.loads(content, parse_int=JsonNumber, parse_float=JsonNumber)


def _is_normal(name: str) -> bool:
    return name.isascii() and name == name.strip()

"""JSON tables: one object per line, or an array of objects; their keys may differ."""

import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from leyden.data.sources.arrow import Fault, RawRows, json_cell, string_array
from leyden.data.sources.encodings import UNDECODABLE
from leyden.data.values import normal

BLOCK_BYTES = 1 << 24
"""Number of bytes whose lines are parsed together by default."""

ELEMENTS_PER_BLOCK = 1 << 14
"""Number of elements of an array that are parsed together."""

SPACE = re.compile(r"[ \t\n\r]*")

Block = tuple[dict[int, dict[str, Any]], list[Fault]]
"""Objects by number of the line or element, and the lines or elements that are not objects."""


class JsonNumber(str):
    """Number as it is written in JSON, to tell it from a string of digits."""

    __slots__ = ()


DECODER = json.JSONDecoder(parse_int=JsonNumber, parse_float=JsonNumber)


@dataclass(frozen=True, kw_only=True)
class JsonFormat:
    """Format of JSON files.

    Attributes:
        may_be_array: Whether the file may be a single array.
        block_bytes: Number of bytes whose lines are parsed together.
    """

    may_be_array: bool
    block_bytes: int = BLOCK_BYTES

    def names(self, stream: IO[bytes], enough: Sequence[str] | None = None) -> list[str]:
        """List the keys of all objects in the order in which they first occur.

        Args:
            stream: Content of the file in UTF-8.
            enough: Names at which the search ends, once all of them are found.

        Raises:
            ValueError: If there are lines, but none holds an object.
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
        """Yield the cells of some columns, chunk by chunk.

        Args:
            stream: Content of the file in UTF-8.
            wanted: Names of the columns to parse.
            names: Key in the objects by name of the column.

        Raises:
            ValueError: If an array is not valid JSON.
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
        """Yield the objects of many lines, or of the array, together; blank lines are ignored."""
        numbers = itertools.count(1)
        may_be_array = self.may_be_array
        while lines := stream.readlines(self.block_bytes):
            if may_be_array and lines[0].lstrip().startswith(b"["):
                elements = enumerate(_elements(b"".join([*lines, stream.read()])), start=1)
                while block := list(itertools.islice(elements, ELEMENTS_PER_BLOCK)):
                    yield _block(block, _object)
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
    text = content.decode()
    value, end = _parse_at(text, _skip_space(text, 0))
    _expect_end(text, end)
    return value


def _elements(content: bytes) -> Iterator[Any]:
    """Parse the elements of an array one after the other."""
    text = content.decode()
    place = _skip_space(text, _skip_space(text, 0) + 1)
    is_last = text.startswith("]", place)
    while not is_last:
        value, place = _parse_at(text, place)
        yield value
        place = _skip_space(text, place)
        is_last = text.startswith("]", place)
        if not is_last:
            if not text.startswith(",", place):
                raise json.JSONDecodeError("Expecting ',' delimiter", text, place)
            place = _skip_space(text, place + 1)
    _expect_end(text, place + 1)


def _parse_at(text: str, place: int) -> tuple[Any, int]:
    """Parse a value, and return the place after it."""
    try:
        return DECODER.raw_decode(text, place)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _skip_space(text: str, place: int) -> int:
    space = SPACE.match(text, place)
    assert space is not None
    return space.end()


def _expect_end(text: str, place: int) -> None:
    if (place := _skip_space(text, place)) < len(text):
        raise json.JSONDecodeError("Extra data", text, place)


def _is_normal(name: str) -> bool:
    return name.isascii() and name == name.strip()

"""JSON: one object a line, or an array of objects, which may differ in their keys."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from leyden.data.values import normal


class JsonNumber(str):
    """A number as it is written in JSON, unlike a string of digits."""

    __slots__ = ()


AS_WRITTEN: dict[str, Any] = {"parse_int": JsonNumber, "parse_float": JsonNumber}
"""Numbers stay as they are written."""

BLOCK_BYTES = 1 << 24
"""Of lines that are parsed together."""


@dataclass(frozen=True, kw_only=True)
class JsonBlock:
    """Lines that were parsed together.

    Attributes:
        rows: the objects; numbers in them stay as they are written.
        numbers: the line of each, or its place in an array, from 1.
        faults: lines or elements that hold no object, by their number, and why.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)


def json_blocks(stream: IO[bytes], *, array: bool = False) -> Iterator[JsonBlock]:
    """Parse a stream block by block; empty lines do not count.

    Args:
        stream: The file.
        array: Whether it may be one array, which is parsed at once.
    """
    numbers = itertools.count(1)
    while lines := stream.readlines(BLOCK_BYTES):
        if array and lines[0].lstrip().startswith(b"["):
            elements = json.loads(b"".join([*lines, stream.read()]), **AS_WRITTEN)
            yield _block(enumerate(elements, start=1), _object)
            return
        array = False
        numbered = zip(lines, numbers, strict=False)
        yield _block(((number, line) for line, number in numbered if line.strip()), _json_row)


def _block(items: Iterable[tuple[int, Any]], row_of: Callable[[Any], dict[str, Any]]) -> JsonBlock:
    block = JsonBlock()
    for number, item in items:
        try:
            block.rows.append(row_of(item))
            block.numbers.append(number)
        except ValueError as error:
            block.faults.append((number, str(error)))
    return block


def json_names(
    stream: IO[bytes], enough: Sequence[str] | None = None, *, array: bool = False
) -> list[str]:
    """List the keys of all lines, for any may hold one that all before it lack.

    Args:
        stream: the lines.
        enough: Names after which, once all were seen, no more are looked for.
        array: As for ``json_blocks``.

    Raises:
        ValueError: there are lines, but no object.
    """
    names: dict[str, None] = {}
    rows, faults = 0, []
    for block in json_blocks(stream, array=array):
        rows += len(block.rows)
        faults += block.faults[:1]
        names |= dict.fromkeys(name for row in block.rows for name in row)
        if enough is not None and names.keys() >= set(enough):
            break
    if faults and not rows:
        number, reason = faults[0]
        raise ValueError(f"no line of it holds a JSON object; line {number}: {reason}")
    return list(names)


def json_cell(value: Any) -> str | None:
    """Give a value as text: nested ones as JSON, ``None`` where it is missing."""
    return value if value is None or isinstance(value, str) else json.dumps(value, default=str)


def _json_row(line: bytes) -> dict[str, Any]:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            "not valid in the encoding of the file; give it, such as data.encoding=cp1252"
        ) from error
    return _object(json.loads(text, **AS_WRITTEN))


def _object(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004  # caught with the faults of json
    # Half a surrogate pair is allowed in JSON, and cannot be encoded.
    "".join(value for value in row.values() if isinstance(value, str)).encode()
    return row if all(map(_is_normal, row)) else {normal(name): row[name] for name in row}


def _is_normal(name: str) -> bool:
    return name.isascii() and name == name.strip()

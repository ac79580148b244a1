"""JSON lines: one object a line, which may differ in their keys."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

BLOCK_BYTES = 1 << 24
"""Of lines that are parsed together."""


@dataclass(frozen=True, kw_only=True)
class JsonBlock:
    """Lines that were parsed together.

    Attributes:
        rows: the objects; numbers in them stay as they are written.
        numbers: the line of each, from 1.
        faults: lines that hold no object, by their number, and why.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)


def json_blocks(stream: IO[bytes]) -> Iterator[JsonBlock]:
    """Parse a stream block by block; empty lines are none."""
    numbers = itertools.count(1)
    while lines := stream.readlines(BLOCK_BYTES):
        block = JsonBlock()
        for line, number in zip(lines, numbers, strict=False):
            if not line.strip():
                continue
            try:
                block.rows.append(_json_row(line))
                block.numbers.append(number)
            except ValueError as error:
                block.faults.append((number, str(error)))
        yield block


def json_names(stream: IO[bytes], enough: Sequence[str] | None = None) -> list[str]:
    """List the keys of all lines, for any may hold one that all before it lack.

    Args:
        stream: the lines.
        enough: names behind which, once all were seen, nobody looks for more.

    Raises:
        ValueError: there are lines, but no object.
    """
    names: dict[str, None] = {}
    rows, faults = 0, []
    for block in json_blocks(stream):
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
        raise ValueError("not valid in the encoding of the file; see data.encoding") from error
    row = json.loads(text, parse_int=str, parse_float=str)
    if not isinstance(row, dict):
        raise ValueError("no JSON object")  # noqa: TRY004  # caught with the faults of json
    if b"\\u" in line:
        # Half a surrogate pair is allowed in JSON, and can't be encoded.
        "".join(value for value in row.values() if isinstance(value, str)).encode()
    return row

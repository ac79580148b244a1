"""Values of JSON rows, which may have any shape."""

import binascii
from collections.abc import Mapping
from itertools import islice
from typing import Any

from leyden.data.rows import UnreadableError
from leyden.data.values import normal
from leyden.errors import first_line, near

JSON_TYPES: Mapping[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
"""Name of each type of JSON in messages."""

MOST_KEYS = 200
"""Largest number of keys of a row, and length of each, that are compared with a missing one."""


def value_of(row: Any, name: str) -> Any:
    """Return a value of a row by its name; surrounding space and Unicode's form are ignored.

    Raises:
        UnreadableError: If the row is not an object, or has no such key.
    """
    if not isinstance(row, Mapping):
        raise wrong_type("an object", row)
    if name in row:
        return row[name]
    others = [
        key for key in islice(row, MOST_KEYS) if isinstance(key, str) and len(key) < MOST_KEYS
    ]
    for key in others:
        if normal(key) == name:
            return row[key]
    raise UnreadableError(f"has no key {name!r}.{near(name, others)}".rstrip("."))


def text_of(row: Any, name: str) -> str:
    """Return a string of a row.

    Raises:
        UnreadableError: If the row has no such string.
    """
    value = value_of(row, name)
    if not isinstance(value, str):
        raise wrong_type("a string", value, name)
    return value


def file_of(row: Any, name: str) -> bytes:
    """Return the content of a file, which is a base64 string of a row.

    Raises:
        UnreadableError: If the row has no such string, or it is not base64.

    Example:
        >>> file_of({"image": "aGk="}, "image")
        b'hi'
    """
    text = text_of(row, name)
    if text[:5].lower() == "data:":
        raise UnreadableError(f"{name}: expected base64, got a data: URL; leave out its beginning")
    try:
        content = binascii.a2b_base64(text, strict_mode=True)
    except ValueError as error:
        raise UnreadableError(
            f"{name}: expected base64 as of RFC 4648, section 4, without line breaks, got "
            f"{text[:20]!r}: {first_line(error)}"
        ) from error
    if len(text) % 4 or text.endswith("==="):  # which the decoder ignores
        raise UnreadableError(f"{name}: expected base64, got wrong padding at its end")
    return content


def wrong_type(expected: str, value: Any, name: str | None = None) -> UnreadableError:
    """Return the error of a value that is not of the expected type.

    Example:
        >>> str(wrong_type("a number", [1], "age"))
        'age: expected a number, got an array'
    """
    place = "" if name is None else f"{name}: "
    return UnreadableError(f"{place}expected {expected}, got {json_type(value)}")


def json_type(value: Any) -> str:
    """Return the name of a value's type in messages."""
    return JSON_TYPES.get(type(value), type(value).__name__)

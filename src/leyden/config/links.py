"""Frozen configs as plain containers: what they may hold, and how their links are followed.

The only interpolations in a frozen config are links, ``${key}`` or ``${..key}`` with a literal
dotted key. Nothing else is evaluated in one, so that a file written by somebody else cannot read
the environment, call a resolver, or mean one thing when it is checked and another when it is built.
"""

import re
from typing import Any

from leyden.errors import UserError

DEEPEST = 40
"""Levels of nesting, counting links; Python's own recursion limit allows several times as many."""

LARGEST = 1_000_000
"""Values and characters of a config with all of its links followed."""

INTEGER_BITS = 64

LONGEST_SHOWN = 80
"""Characters of a value in a message."""

_LINK = re.compile(r"(?<!\\)\$\{(\.*)([\w-]+(?:\.[\w-]+)*)\}")

_Path = tuple[str, ...]


def holds_only_links(text: str) -> bool:
    """Whether every interpolation in a text is a link, without resolvers, nesting and escapes."""
    return "${" not in _LINK.sub("", text)


def follow_links(config: dict[str, Any]) -> dict[str, Any]:
    """Copy a frozen config with the value in place of every link.

    Args:
        config: Plain containers; those of strangers too, for everything about them is verified.

    Returns:
        Plain containers without any interpolation.

    Raises:
        UserError: The config is too deep or too large, holds a value that is not plain, an
            interpolation other than a link, or a link that leads nowhere or in a circle.
    """
    values: dict[str, Any] = _Walk(config).value(config, (), 0)
    return values


class _Walk:
    """Copies a tree of containers; the limits bound its time, its memory and its recursion."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.left = LARGEST

    def value(self, node: Any, home: _Path, depth: int) -> Any:
        """Copy the node at a path of the config."""
        self._count(1 + (len(node) if isinstance(node, str) else 0))
        if depth > DEEPEST:
            raise _fault(home, f"is nested more than {DEEPEST} levels deep, or linked in a circle")
        if type(node) is dict:
            return {_key(key, home): self.value(node[key], (*home, key), depth + 1) for key in node}
        if type(node) is list:
            items = enumerate(node)
            return [self.value(item, (*home, str(index)), depth + 1) for index, item in items]
        if type(node) is str:
            return self._text(node, home, depth)
        return _scalar(node, home)

    def _text(self, text: str, home: _Path, depth: int) -> Any:
        _refuse_unwritable(text, home)
        if "${" not in text:
            return text
        if not holds_only_links(text):
            raise _fault(home, f"holds {_shown(text)}, and only links such as ${{seed}} are taken")
        if whole := _LINK.fullmatch(text):
            return self.value(*self._target(whole, home, depth), depth + 1)
        return _LINK.sub(lambda link: self._inserted(link, home, depth), text)

    def _inserted(self, link: re.Match[str], home: _Path, depth: int) -> str:
        value = self.value(*self._target(link, home, depth), depth + 1)
        if isinstance(value, dict | list):
            raise _fault(home, f"has {link[0]} within a text, where no list or mapping fits")
        return str(value)

    def _target(self, link: re.Match[str], home: _Path, depth: int) -> tuple[Any, _Path]:
        """Find the node that a link names, and its own path."""
        if depth > DEEPEST:
            raise _fault(home, "is linked in a circle")
        dots, names = len(link[1]), link[2].split(".")
        if dots > len(home):
            raise _fault(home, f"is linked by {link[0]} to above the top level")
        node: Any = self.root
        path: _Path = ()
        for name in (*(home[:-dots] if dots else ()), *names):
            self._count(1)
            while type(node) is str and (further := _LINK.fullmatch(node)):
                depth += 1
                node, path = self._target(further, path, depth)
            path = (*path, name)
            try:
                node = node[int(name)] if type(node) is list else node[name]
            except (KeyError, IndexError, TypeError, ValueError):
                raise _fault(home, f"is linked by {link[0]} to a key that is not there") from None
        return node, path

    def _count(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise UserError(
                f"it holds more than {LARGEST:,} values and characters with its links followed. "
                "Expected a few hundred values, as a run writes them."
            )


def _key(key: Any, home: _Path) -> str:
    if type(key) is not str:
        raise _fault(home, f"has a key of type {type(key).__name__}; expected a quoted text")
    _refuse_unwritable(key, home)
    return key


def _scalar(value: Any, home: _Path) -> Any:
    if value is not None and type(value) not in (bool, int, float):
        raise _fault(home, f"is a {type(value).__name__}, and only plain values are taken")
    if type(value) is int and value.bit_length() > INTEGER_BITS:
        raise _fault(home, f"is an integer of more than {INTEGER_BITS} bits")
    return value


def _refuse_unwritable(text: str, home: _Path) -> None:
    """Refuse what neither a YAML file nor the name of a file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _fault(home, f"holds {_shown(text)}, which is not Unicode text") from None
    if "\0" in text:
        raise _fault(home, f"holds {_shown(text)}, with a null character")


def _fault(home: _Path, reason: str) -> UserError:
    return UserError(f"{_shown('.'.join(home))[1:-1] or 'its top level'} {reason}.")


def _shown(value: Any) -> str:
    """Shorten what a stranger has chosen; ``repr`` escapes what a terminal would obey."""
    text = repr(value[:LONGEST_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."

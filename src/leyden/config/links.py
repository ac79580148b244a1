"""Links between the keys of a frozen config.

The only interpolations in a frozen config are links, ``${key}`` or ``${..key}`` with a literal
dotted key. Nothing else is evaluated, so that a file of unknown origin cannot read the environment,
call a resolver, or have one value when it is checked and another when it is built.
"""

import re
from typing import Any

from leyden.errors import UserError

DEEPEST = 40
"""Maximum number of nested levels, including links; well below Python's recursion limit."""

LARGEST = 1_000_000
"""Maximum number of values and characters of a config with its links followed."""

INTEGER_BITS = 64

LONGEST_SHOWN = 80
"""Maximum number of characters of a value in a message."""

_LINK = re.compile(r"(?<!\\)\$\{(\.*)([\w-]+(?:\.[\w-]+)*)\}")

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")

_Path = tuple[str, ...]


def holds_only_links(text: str) -> bool:
    """Whether all interpolations in a text are links: no resolvers, nesting or escapes.

    Example:
        >>> holds_only_links("${name}-${data.seed}")
        True
        >>> holds_only_links("${oc.env:HOME}")
        False
    """
    return "${" not in _LINK.sub("", text)


def follow_links(config: dict[str, Any]) -> dict[str, Any]:
    """Copy a frozen config with the values in place of the links.

    Args:
        config: Plain containers of any origin; everything in them is verified.

    Returns:
        Plain containers without interpolations.

    Raises:
        UserError: If the config is too deep or too large, or holds a value that is not plain, an
            interpolation other than a link, or a link that is broken or circular.

    Example:
        >>> follow_links({"seed": 3, "data": {"seed": "${seed}"}})
        {'seed': 3, 'data': {'seed': 3}}
    """
    values: dict[str, Any] = _Walk(config).value(config, (), 0)
    return values


class _Walk:
    """Copies a tree of containers within limits of time, memory and recursion depth."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.left = LARGEST

    def value(self, node: Any, home: _Path, depth: int) -> Any:
        """Copy a node, given its path in the config."""
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
            raise _fault(home, f"contains {_shown(text)}; only links such as ${{seed}} are allowed")
        if whole := _LINK.fullmatch(text):
            return self.value(*self._target(whole, home, depth), depth + 1)
        return _LINK.sub(lambda link: self._inserted(link, home, depth), text)

    def _inserted(self, link: re.Match[str], home: _Path, depth: int) -> str:
        value = self.value(*self._target(link, home, depth), depth + 1)
        if isinstance(value, dict | list):
            raise _fault(home, f"inserts {link[0]}, a list or mapping, into a text")
        return str(value)

    def _target(self, link: re.Match[str], home: _Path, depth: int) -> tuple[Any, _Path]:
        """Find the node that a link refers to, and the path of that node."""
        if depth > DEEPEST:
            raise _fault(home, "is linked in a circle")
        dots, names = len(link[1]), link[2].split(".")
        if dots > len(home):
            raise _fault(home, f"has the link {link[0]}, which leads above the top level")
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
                raise _fault(home, f"has the link {link[0]} to a missing key") from None
        return node, path

    def _count(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise UserError(
                f"it has more than {LARGEST:,} values and characters with its links followed. "
                "Expected a few hundred values, as a run writes them."
            )


def _key(key: Any, home: _Path) -> str:
    if type(key) is not str:
        raise _fault(home, f"has a key of type {type(key).__name__}; expected quoted text")
    _refuse_unwritable(key, home)
    return key


def _scalar(value: Any, home: _Path) -> Any:
    if value is not None and type(value) not in (bool, int, float):
        raise _fault(home, f"is a {type(value).__name__}; only plain values are allowed")
    if type(value) is int and value.bit_length() > INTEGER_BITS:
        raise _fault(home, f"is an integer of more than {INTEGER_BITS} bits")
    return value


def _refuse_unwritable(text: str, home: _Path) -> None:
    """Refuse text that neither a YAML file nor a file name can hold."""
    if _UNWRITABLE.search(text):
        fault = f"contains {_shown(text)}, which has a null character or is not Unicode text"
        raise _fault(home, fault)


def _fault(home: _Path, reason: str) -> UserError:
    return UserError(f"{_shown('.'.join(home))[1:-1] or 'its top level'} {reason}.")


def _shown(value: Any) -> str:
    """Shorten a value of unknown origin; ``repr`` escapes control characters."""
    text = repr(value[:LONGEST_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."

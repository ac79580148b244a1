"""Checking a config before anything is imported or any data is touched."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from leyden.config.compose import Config, to_plain
from leyden.config.targets import bind, resolve
from leyden.errors import UserError

Origin = Callable[[str], str]
"""Tells which file or override set a dotted key."""


def check(config: Config, *, origin: Origin = lambda key: "") -> None:  # noqa: ARG005
    """Bind every ``_target_`` of a config to its signature.

    Args:
        config: a frozen config.
        origin: words where a key was set, for the message.

    Raises:
        UserError: a target is unknown or not trusted, an argument is unknown or missing, or a
            value has the wrong type.
    """
    for where, node in target_nodes(to_plain(config, resolve=True)):
        arguments = {key: value for key, value in node.items() if not key.startswith("_")}
        try:
            target = resolve(str(node["_target_"]))
            bind(target, arguments, partial=bool(node.get("_partial_")), where=where)
        except UserError as error:
            source = origin(where)
            raise UserError(f"{error} (set by {source})" if source else str(error)) from error


def target_nodes(node: Any, where: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Walk all nodes that name a target, with their dotted keys."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield where, node
        for key, child in node.items():
            yield from target_nodes(child, f"{where}.{key}" if where else str(key))
    elif isinstance(node, list):
        for index, child in enumerate(node):
            yield from target_nodes(child, f"{where}[{index}]")

"""Nodes of configs as plain containers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from leyden.errors import unexpected

Node = Mapping[str, Any]


def is_node(value: Any) -> bool:
    """Whether a plain value is a node with a ``_target_``."""
    return isinstance(value, Mapping) and "_target_" in value


def value_at(node: Any, path: Sequence[str], default: Any = None) -> Any:
    """Return the value at a path of keys, or the default if a key is missing.

    Example:
        >>> value_at({"optimizer": {"lr": 0.1}}, ["optimizer", "lr"])
        0.1
    """
    for name in path:
        if not isinstance(node, Mapping) or name not in node:
            return default
        node = node[name]
    return node


def target_nodes(links: Any, resolved: Any, where: str = "") -> Iterator[tuple[str, Node, Node]]:
    """Yield the dotted key, the links and the values of all nodes with a target.

    Nodes behind links are yielded once, under their own key.

    Args:
        links: Plain containers with links such as ``${key}``.
        resolved: The same containers with the values in place of the links.
        where: Dotted key of the containers.

    Raises:
        UserError: If a target is not a literal name.
    """
    if isinstance(links, Mapping):
        if "_target_" in links:
            target = links["_target_"]
            if not isinstance(target, str) or "${" in target:
                raise unexpected(f"{where}._target_", "the name of a class", target)
            yield where, links, resolved
        for key, child in links.items():
            yield from target_nodes(child, resolved[key], f"{where}.{key}" if where else str(key))
    elif isinstance(links, list):
        for index, child in enumerate(links):
            yield from target_nodes(child, resolved[index], f"{where}[{index}]")

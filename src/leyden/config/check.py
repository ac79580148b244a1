"""Checking a config before anything is imported or any data is touched."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from leyden.config.compose import Config, select, to_plain
from leyden.config.sources import find_module
from leyden.config.targets import bind, resolve
from leyden.errors import FaultyKeyError, UserError

NAMES_OF_PLACES = ("name", "data.name", "callbacks.history.filename")
"""Keys that name a folder below ``runs/``, one below the cache, and a file in the run folder."""

Node = Mapping[str, Any]

Origin = Callable[[str], str]
"""Tells which file or override set a dotted key."""


def check(config: Config, *, origin: Origin = lambda key: "") -> None:  # noqa: ARG005
    """Bind every ``_target_`` of a config to its signature.

    Args:
        config: a frozen config.
        origin: words where a key was set, for the message.

    Raises:
        UserError: a name leads out of its folder, a target is unknown or not trusted, an argument
            is unknown or missing, or a value has the wrong type.
    """
    for key in NAMES_OF_PLACES:
        _stay_inside(key, select(config, key), origin)
    for where, node in target_nodes(to_plain(config), to_plain(config, resolve=True)):
        try:
            target = resolve(str(node["_target_"]))
            bind(target, node, partial=bool(node.get("_partial_")), where=where)
        except UserError as error:
            source = origin(error.key if isinstance(error, FaultyKeyError) else f"{where}._target_")
            raise UserError(f"{error} Set by {source}." if source else str(error)) from error


def forget_sources() -> None:
    """Give back the memory of what was parsed to check: some 20 MB, which imports then fill."""
    find_module.cache_clear()


def _stay_inside(key: str, name: Any, origin: Origin) -> None:
    path = PurePath(str(name))
    if path.is_absolute() or ".." in path.parts:
        source = f" Set by {origin(key)}." if origin(key) else ""
        raise UserError(
            f"{key}={name} leads out of the folder that it is made in. Expected a name, or names "
            f"joined by '/'.{source}"
        )


def target_nodes(links: Any, resolved: Any, where: str = "") -> Iterator[tuple[str, Node]]:
    """Walk all nodes that name a target, with their dotted keys, each at its home only.

    Args:
        links: plain containers in which a link stands as ``${key}``; they are not followed.
        resolved: the same with the values in place of the links.
        where: the dotted key of the node.
    """
    if isinstance(links, Mapping):
        if "_target_" in links:
            yield where, resolved
        for key, child in links.items():
            yield from target_nodes(child, resolved[key], f"{where}.{key}" if where else str(key))
    elif isinstance(links, list):
        for index, child in enumerate(links):
            yield from target_nodes(child, resolved[index], f"{where}[{index}]")

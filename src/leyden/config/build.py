"""From a config to objects: the only place that instantiates, by Hydra's rules for a node.

A node is resolved, completed and checked as the plain containers that it is then built from, so
that nothing can become something else between the check and the call.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from leyden.config.check import check_values
from leyden.config.compose import Config, is_node, to_plain
from leyden.config.static.targets import HYDRA_KEYS, imported, resolve
from leyden.errors import UserError


def build(config: Config, key: str, kind: type = object, /, **arguments: Any) -> Any:
    """Build a node of a config.

    Args:
        config: The whole config, so that links can be followed.
        key: The top-level key of the node.
        kind: The class that the node's target must have, or return a factory for.
        arguments: Passed to the node's target in addition to, or in place of, its own keys.

    Returns:
        The object, or a ``functools.partial`` of its target if the node says ``_partial_``.

    Raises:
        UserError: The target is not trusted, is of another kind, does not accept its values, or
            needs a package that is not installed.
    """
    node = to_plain(config, resolve=True)[key]
    if not is_node(node):
        raise UserError(f"{key}: expected a node with a _target_, got {node!r:.80}.")
    return build_node(node | arguments, key, kind)


def build_all(config: Config, key: str, kind: type = object, /) -> list[Any]:
    """Build the named nodes below a key, in their order; nodes set to null are left out.

    A key that is missing, as after ``logger=[]``, holds none.
    """
    nodes = to_plain(config, resolve=True).get(key) or {}
    wanted = {name: node for name, node in nodes.items() if node is not None}
    return [build_node(node, f"{key}.{name}", kind) for name, node in wanted.items()]


def build_node(node: Mapping[str, Any], where: str, kind: type = object, /) -> Any:
    """Build a node of plain containers, in which arguments may be objects already.

    Args:
        node: Without interpolations; text that looks like one is text.
        where: The dotted key of the node, for messages.
        kind: The class that the node's target must have.
    """
    check_values(node, where)
    target = imported(resolve(node["_target_"]))
    if kind is not object and not (isinstance(target, type) and issubclass(target, kind)):
        raise UserError(f"{where}: expected a {kind.__name__}, got {node['_target_']}.")
    return _made(node, where, recursive=True)


def class_of(config: Config, key: str) -> type | None:
    """Import the class that the node at a dotted key names, if it is one that names any."""
    node: Any = to_plain(config, resolve=True)
    for name in key.split("."):
        node = node.get(name) if isinstance(node, dict) else None
    found = imported(resolve(node["_target_"])) if is_node(node) else None
    return found if isinstance(found, type) else None


def call(where: str, factory: Any, **arguments: Any) -> Any:
    """Call a factory made from a config, and blame its config for values that it refuses.

    Raises:
        UserError: The factory raised ``ValueError``, ``TypeError`` or Lightning's own error for
            them, or lacks a package.
    """
    try:
        return factory(**arguments)
    except ImportError as error:
        raise UserError(
            f"{where} needs a package that is not installed: {error}. Install the extra that its "
            "file in conf/ names."
        ) from error
    except (ValueError, TypeError, MisconfigurationException) as error:
        raise UserError(f"{where}: {error}") from error


def _made(value: Any, where: str, *, recursive: bool) -> Any:
    """Make what checked containers stand for: of a node its object, of others what they hold."""
    if isinstance(value, list):
        return [_made(each, f"{where}[{i}]", recursive=recursive) for i, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    recursive = value.get("_recursive_", recursive)
    if not is_node(value):
        return {key: _made(value[key], f"{where}.{key}", recursive=recursive) for key in value}
    arguments = {key: value[key] for key in value if key not in HYDRA_KEYS}
    by_position = value.get("_args_", [])
    if recursive:
        arguments = _made(arguments, where, recursive=True)
        by_position = _made(by_position, f"{where}._args_", recursive=True)
    factory = partial(imported(resolve(value["_target_"])), *by_position, **arguments)
    return factory if value.get("_partial_") else call(where, factory)

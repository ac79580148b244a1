"""Building the objects of a config, by Hydra's rules for nodes; nothing else instantiates them.

A node is resolved, completed and checked as the plain containers from which it is built, so that
nothing can change between the check and the call.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException

from leyden.config.compose import Config, to_plain
from leyden.config.nodes import is_node, target_nodes, value_at
from leyden.config.static.targets import HYDRA_KEYS, bind, import_target, resolve
from leyden.errors import UserError, unexpected


def build(config: Config, key: str, kind: type = object, /, **arguments: Any) -> Any:
    """Build a node of a config.

    Args:
        config: Whole config, in which links are followed.
        key: Top-level key of the node.
        kind: Class of which the target must be a subclass.
        arguments: Arguments of the target; they take precedence over the keys of the node.

    Returns:
        The object, or a ``functools.partial`` of the target if ``_partial_`` is true.

    Raises:
        UserError: If the key does not hold a node, or its target is not trusted, is not a subclass
            of ``kind``, does not accept its arguments, or needs a package that is not installed.
    """
    node = to_plain(config, resolve=True)[key]
    if not is_node(node):
        raise unexpected(key, "a node with a _target_", node)
    return build_node(node | arguments, key, kind)


def build_all(config: Config, key: str, kind: type = object, /) -> list[Any]:
    """Build the named nodes below a key in their order, without those that are null.

    The list is empty if the key is missing, as after ``logger=[]``.

    Raises:
        UserError: If a node cannot be built; see ``build``.
    """
    nodes = to_plain(config, resolve=True).get(key) or {}
    named = ((f"{key}.{name}", node) for name, node in nodes.items() if node is not None)
    return [build_node(node, where, kind) for where, node in named]


def build_node(node: Mapping[str, Any], where: str, kind: type = object, /) -> Any:
    """Build a node of plain containers.

    Args:
        node: Node without interpolations; text that looks like one is not evaluated. Arguments may
            already be objects.
        where: Dotted key of the node, for messages.
        kind: Class of which the target must be a subclass.

    Raises:
        UserError: If the node cannot be built; see ``build``.
    """
    for key, _, each in target_nodes(node, node, where):
        bind(resolve(each["_target_"]), each, where=key)
    target = import_target(resolve(node["_target_"]))
    if kind is not object and not (isinstance(target, type) and issubclass(target, kind)):
        raise UserError(f"{where}: expected a subclass of {kind.__name__}, got {node['_target_']}.")
    return _made(node, where)


def class_of(config: Config, key: str) -> type | None:
    """Import the class that the node at a dotted key names; ``None`` if it names none.

    Raises:
        UserError: If the target is not trusted.
    """
    node = value_at(to_plain(config, resolve=True), key.split("."))
    found = import_target(resolve(node["_target_"])) if is_node(node) else None
    return found if isinstance(found, type) else None


def call(where: str, factory: Any, **arguments: Any) -> Any:
    """Call a factory that was built from a config, and attribute its errors to the config.

    Args:
        where: Dotted key of the factory's node, with which messages begin.
        factory: Callable.
        arguments: Keyword arguments of the call.

    Raises:
        UserError: If the factory raised ``ValueError``, ``TypeError`` or Lightning's
            ``MisconfigurationException``, or needs a package that is not installed.
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


def _made(value: Any, where: str) -> Any:
    """Copy checked containers with the object in place of each node."""
    if isinstance(value, list):
        return [_made(each, f"{where}[{i}]") for i, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if not is_node(value):
        return {key: _made(value[key], f"{where}.{key}") for key in value}
    arguments = {key: value[key] for key in value if key not in HYDRA_KEYS}
    by_position = value.get("_args_", [])
    if value.get("_recursive_", True):
        arguments = _made(arguments, where)
        by_position = _made(by_position, f"{where}._args_")
    factory = partial(import_target(resolve(value["_target_"])), *by_position, **arguments)
    return factory if value.get("_partial_") else call(where, factory)

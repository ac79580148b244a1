"""From a checked config to objects: the only place that instantiates."""

from collections.abc import Mapping
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from lightning.fabric.utilities.exceptions import MisconfigurationException

from leyden.config.compose import Config, select
from leyden.errors import UserError


def build(config: Config, key: str, **arguments: Any) -> Any:
    """Instantiate a node of a config, which must have passed the check.

    Args:
        config: the whole config, so that links can be followed.
        key: the top-level key of the node.
        arguments: passed to the node's target beside its own keys.

    Returns:
        The object, or the factory where the node says ``_partial_``.

    Raises:
        UserError: the target does not accept its values, or needs a package that is not installed.
    """
    try:
        return instantiate(config[key], _convert_="all", **arguments)
    except InstantiationException as error:
        raise _as_user_error(key, error) from error


def build_all(config: Config, key: str) -> list[Any]:
    """Instantiate the named nodes below a key, in their order; nodes set to null are left out.

    A key that is missing, as after ``logger=[]``, holds none.
    """
    if not config.get(key):
        return []
    return [item for item in build(config, key).values() if item is not None]


def class_of(config: Config, key: str) -> type | None:
    """Import the class that the node at a dotted key names, if it is one that names any."""
    node = select(config, key)
    return get_class(node["_target_"]) if isinstance(node, Mapping) else None


def call(where: str, factory: Any, **arguments: Any) -> Any:
    """Call a factory made from a config, and blame its config for values that it refuses.

    Raises:
        UserError: the factory raised ``ValueError`` or ``TypeError``.
    """
    try:
        return factory(**arguments)
    except (ValueError, TypeError) as error:
        raise UserError(f"{where}: {error}") from error


def _as_user_error(key: str, error: InstantiationException) -> Exception:
    cause = error.__cause__
    if isinstance(cause, UserError):
        return cause
    if isinstance(cause, ModuleNotFoundError | ImportError):
        return UserError(
            f"{key} needs a package that is not installed: {cause}. Install the extra that its "
            "file in conf/ names."
        )
    if isinstance(cause, ValueError | TypeError | MisconfigurationException):
        return UserError(f"{key}: {cause}")
    return error

"""Networks that fit a data set, found by what it gives them and what each of them takes."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from leyden.config.options import groups, layers
from leyden.config.static.members import returned_keys
from leyden.config.static.targets import accepts, resolve
from leyden.errors import UserError


def sizes_of(data: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the names of the sizes that a data set gives networks, such as ``input_shape``.

    They are the keys that the method ``network_sizes`` of its class returns.

    Args:
        data: The node ``data``. Its target is not imported.

    Returns:
        The names; ``None`` if they cannot be read from the source of the class.

    Raises:
        UserError: If the target is unknown or not trusted.
    """
    return returned_keys(list(resolve(str(data.get("_target_"))).classes), "network_sizes")


def takes(network: Mapping[str, Any], sizes: Collection[str]) -> bool:
    """Whether a network takes the sizes of a data set and requires no other arguments.

    Args:
        network: The node ``network``. Its target is not imported.
        sizes: Names of the sizes, as ``sizes_of`` returns them.

    Raises:
        UserError: If the target is unknown or not trusted.
    """
    return accepts(resolve(str(network.get("_target_"))), sizes, network)


def networks_that_take(sizes: Collection[str] | None) -> list[str]:
    """List the options of ``network`` that take the sizes of a data set; all if they are unknown.

    Args:
        sizes: Names of the sizes, as ``sizes_of`` returns them.

    Example:
        >>> networks_that_take({"num_numbers", "cardinalities", "num_outputs"})
        ['ft_transformer', 'table_mlp']
    """
    options = groups().get("network", [])
    return options if sizes is None else [each for each in options if _option_takes(each, sizes)]


def networks_for(data: Mapping[str, Any]) -> list[str]:
    """List the options of ``network`` that fit a data set; see ``sizes_of``.

    Args:
        data: The node ``data``. Its target is not imported.

    Raises:
        UserError: If the target is unknown or not trusted.
    """
    return networks_that_take(sizes_of(data))


def _option_takes(option: str, sizes: Collection[str]) -> bool:
    node = {
        key: v for _, layer in reversed([*layers(f"network/{option}")]) for key, v in layer.items()
    }
    with suppress(UserError):
        return takes(node, sizes)
    return False

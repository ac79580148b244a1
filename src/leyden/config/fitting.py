"""Networks and tasks that fit a data set, found by what it gives and what each of them takes."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from leyden.config.options import groups, layers
from leyden.config.static.members import read_attribute, returned_keys
from leyden.config.static.targets import accepts, resolve
from leyden.errors import FaultyKeyError, UserError
from leyden.schema import TargetKind


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


def misfit(network: str, taken: Iterable[str], sizes: Collection[str]) -> FaultyKeyError:
    """Return the error of a network that does not take the sizes of the data.

    Args:
        network: Name of its class or function.
        taken: Names of its arguments.
        sizes: Names of the sizes.
    """
    fitting = " or ".join(f"network={name}" for name in networks_that_take(sizes))
    return FaultyKeyError(
        "network",
        f"{network} takes {', '.join(taken)}, but is given {', '.join(sorted(sizes))} by the data. "
        f"Choose a network for this kind of data: {fitting or 'none in conf/network/ is'}.",
    )


def learned_by(task: Mapping[str, Any]) -> TargetKind | None:
    """Return what the targets of a task have to be; ``None`` if its class does not restrict them.

    Args:
        task: The node ``task``. Its target is not imported.

    Raises:
        UserError: If the target is unknown or not trusted.
    """
    kind: TargetKind | None = read_attribute(
        resolve(str(task.get("_target_"))).classes, "target_kind"
    )
    return kind


def tasks_that_learn(target: TargetKind) -> list[str]:
    """List the options of ``task`` that are for such targets.

    Example:
        >>> tasks_that_learn("number")
        ['regression']
    """
    found = []
    for option in groups().get("task", []):
        with suppress(UserError):
            if learned_by(_read_node(f"task/{option}")) == target:
                found.append(option)
    return found


def _option_takes(option: str, sizes: Collection[str]) -> bool:
    with suppress(UserError):
        return takes(_read_node(f"network/{option}"), sizes)
    return False


def _read_node(option: str) -> dict[str, Any]:
    """Read the keys of an option and of its base files."""
    nodes = reversed([node for _, node in layers(option)])
    return {key: value for node in nodes for key, value in node.items()}

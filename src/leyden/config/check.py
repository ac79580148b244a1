"""Checks of a config that import no target and read no data."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from leyden.config.compose import (
    NODES,
    OF_TASK,
    SCALARS,
    Config,
    groups,
    is_node,
    keys,
    root_keys,
    select,
    to_plain,
)
from leyden.config.data_paths import path_keys
from leyden.config.static.sources import find_module
from leyden.config.static.targets import bind, is_of_lightning, resolve, stays_in_run_folder
from leyden.errors import FaultyKeyError, UserError, did_you_mean, near
from leyden.files import exists

NAMES_OF_PLACES = ("name", "data.name")
"""Keys that name the folder below ``runs/`` and the one below the cache."""

LONGEST_NAME = 200
"""Maximum bytes of a file name; file systems allow 255, and suffixes are appended."""

OBJECTS = ("data", "loss", "trainer")
"""Keys of nodes that need no further arguments; the others are completed during a run."""

FILENAME = "filename"
"""Argument that names a file in the run folder, in every class."""

LARGEST_SEED = 2**32 - 1
"""Largest seed of NumPy's generators."""

FILLED_IN = {
    "trainer": ("callbacks", "logger", "plugins", "default_root_dir"),
    "task": ("spec", "lazy_network"),
    "parameter_groups": ("module",),
    "optimizer": ("params",),
    "scheduler": ("optimizer",),
}
"""Arguments of nodes that a run fills in."""

COLLECTIONS = ("callbacks", "logger")
"""Keys that hold named nodes; a node that is null is left out."""

MACHINE = ("trainer", "callbacks", "logger")
"""Keys below which classes of Lightning are allowed, as they write files and start processes."""

Node = Mapping[str, Any]

Origin = Callable[[str], str]
"""Returns which file or override has set a dotted key; an empty string if unknown."""

Choice = Callable[[str, Node], bool]
"""Whether the user has chosen a node, given its dotted key and its content."""


def check(
    config: Config,
    *,
    origin: Origin = lambda key: "",  # noqa: ARG005
    is_chosen: Choice = lambda key, node: True,  # noqa: ARG005
) -> None:
    """Check the keys of a config, and bind every ``_target_`` to its signature.

    Args:
        config: Frozen config.
        origin: Function that returns where a key was set, for messages.
        is_chosen: Function that returns whether the user has chosen a node, given its dotted key
            and its unresolved content. Nodes chosen by a file alone may only name classes of
            Lightning that write to the run folder.

    Raises:
        UserError: A key is unknown, unused or of the wrong type, a name leads out of its folder, a
            target is unknown or not trusted, or an argument is unknown, missing or of the wrong
            type.
    """
    links, values = to_plain(config), to_plain(config, resolve=True)
    origin = partial(_origin_of_link, links, origin)
    with _setter_named(origin):
        _refuse_unknown(links, keys(config))
        _refuse_unused(links)
        _refuse_options_as_values(links)
        _check_top(links, values)
        _check_seeds(links)
    for where, own, node in target_nodes(links, values):
        with _setter_named(origin, f"{where}._target_"):
            _check_node(where, node, is_chosen=partial(is_chosen, where, own))
    with _setter_named(origin):
        _refuse_partial(links)


def _origin_of_link(links: Node, origin: Origin, key: str) -> str:
    """Return the origin of a key, or of the key that it is a link to."""
    link = re.fullmatch(r"\$\{([\w.-]+)\}", str(_at(links, key)))
    return origin(link[1] if link else key)


def check_paths(config: Config, *, origin: Origin = lambda key: "") -> None:  # noqa: ARG005
    """Raise if a path of data does not exist.

    Args:
        config: Frozen config.
        origin: Function that returns where a key was set, for messages.

    Raises:
        UserError: A path does not exist.
    """
    with _setter_named(origin):
        for key in path_keys(config.data):
            path = select(config, key)
            if isinstance(path, str) and not exists(path):
                raise FaultyKeyError(key, f"{path} does not exist.{_near_path(Path(path))}")


def _near_path(path: Path) -> str:
    """Return a hint at existing names close to the first missing component of a path."""
    while not exists(str(path.parent)):
        path = path.parent
    try:
        return near(path.name, (each.name for each in path.parent.iterdir()))
    except OSError:
        return ""


def check_values(node: Any, where: str) -> None:
    """Check the nodes in resolved containers before they are built.

    Args:
        node: Plain containers without links.
        where: Their dotted key.

    Raises:
        UserError: A target is not trusted, or does not accept its arguments.
    """
    for key, _, each in target_nodes(node, node, where):
        bind(resolve(each["_target_"]), each, partial=bool(each.get("_partial_")), where=key)


@contextmanager
def _setter_named(origin: Origin, key: str = "") -> Iterator[None]:
    """Add where the faulty key was set to the message of a ``UserError``."""
    try:
        yield
    except UserError as error:
        source = origin(error.key if isinstance(error, FaultyKeyError) else key)
        raise UserError(f"{error} Set by {source}." if source else str(error)) from error


def _check_top(links: Node, values: Node) -> None:
    for key in NODES:
        if key in links and not is_node(links[key]):
            raise FaultyKeyError(key, f"expected a node with a _target_, got {_shown(links[key])}.")
    for key in COLLECTIONS:
        _check_collection(key, links.get(key) or {})
    for key, kinds in SCALARS.items():
        if key in values and type(values[key]) not in kinds:
            expected = " or ".join(kind.__name__ for kind in kinds)
            raise FaultyKeyError(key, f"expected {expected}, got {_shown(values[key])}.")
    _refuse_filled_in(links)
    for key in NAMES_OF_PLACES:
        _stay_inside(key, _at(values, key))


def _check_collection(key: str, nodes: Any) -> None:
    if not isinstance(nodes, dict):
        raise FaultyKeyError(key, f"expected named nodes with a _target_, got {_shown(nodes)}.")
    for name, node in nodes.items():
        if node is not None and not is_node(node):
            fault = f"expected a node with a _target_ or null, got {_shown(node)}."
            raise FaultyKeyError(f"{key}.{name}", fault)


def _refuse_filled_in(links: Node) -> None:
    """Refuse arguments that a run would replace by its own."""
    for key, names in FILLED_IN.items():
        for name in names:
            if name in links.get(key, ()):
                hint = f"Give the key {name} instead." if name in links else "Leave it out."
                raise FaultyKeyError(f"{key}.{name}", f"a run fills this in. {hint}")


def _refuse_partial(links: Node) -> None:
    """Refuse ``_partial_`` where nothing completes the node."""
    nodes = {key: links.get(key) for key in OBJECTS}
    for key in COLLECTIONS:
        nodes |= {f"{key}.{name}": node for name, node in (links.get(key) or {}).items()}
    for key, node in nodes.items():
        if node and node.get("_partial_"):
            raise FaultyKeyError(
                f"{key}._partial_", "expected false, because nothing completes this node."
            )


def _refuse_unknown(links: Node, dotted: Sequence[str]) -> None:
    """Refuse top-level keys that neither Leyden nor a link in the config reads."""
    known, linked = root_keys(), re.findall(r"\$\{\.*([\w-]+)", str(links))
    unknown = next((str(key) for key in links if key not in known.union(linked)), None)
    if unknown is not None:
        within = [key for key in dotted if key.partition(".")[0] in known]
        hint = near(unknown, within) or did_you_mean(unknown, known)
        raise FaultyKeyError(unknown, f"nothing takes this key.{hint}")


def _refuse_unused(links: Node) -> None:
    """Refuse nodes that the task does not link: they would be recorded without effect."""
    task = links.get("task", {})
    taken = re.findall(r"\$\{\.*([\w-]+)", str(task))
    unused = next((key for key in OF_TASK if key in links and key not in taken), None)
    if task and unused is not None:
        raise FaultyKeyError(
            unused,
            "the task does not use this node, so it would have no effect. Leave it out, or add "
            f"{unused}: ${{{unused}}} to the task's file in conf/task/.",
        )


def _refuse_options_as_values(links: Node) -> None:
    """Refuse ``task.mix=mixup``, which is meant to be ``task/mix=mixup``."""
    for group, options in groups().items():
        key = group.replace("/", ".")
        value = _at(links, key)
        if "/" in group and isinstance(value, str) and "${" not in value:
            raise FaultyKeyError(
                key,
                f"expected a node with a _target_, got {_shown(value)}. Choose an option with "
                f"{group}=OPTION: {', '.join(options)}.",
            )


def _at(node: Any, key: str) -> Any:
    """Return the value of a dotted key, or None."""
    for name in key.split("."):
        node = node.get(name) if isinstance(node, Mapping) else None
    return node


def _check_seeds(node: Any, where: str = "") -> None:
    """Check the range of all seeds below a node; links are not followed."""
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        inner = f"{where}.{key}" if where else str(key)
        is_seed = isinstance(value, int) and f"_{key}".endswith("_seed")
        if is_seed and not 0 <= value <= LARGEST_SEED:
            raise FaultyKeyError(inner, f"expected 0 to {LARGEST_SEED}, got {value}.")
        _check_seeds(value, inner)


def _shown(value: Any) -> str:
    return f"{value!r:.80} ({type(value).__name__})"


def _check_node(where: str, node: Node, *, is_chosen: Callable[[], bool]) -> None:
    target = resolve(node["_target_"])
    bind(target, node, partial=bool(node.get("_partial_")), where=where)
    if FILENAME in node:
        _stay_inside(f"{where}.{FILENAME}", node[FILENAME])
    if not is_of_lightning(target):
        return
    if where.partition(".")[0] not in MACHINE:
        raise UserError(
            f"{where}: {target.target} is refused here. Expected classes of Lightning only in "
            f"{', '.join(MACHINE)}, because they write files and start processes."
        )
    if not (stays_in_run_folder(target) or is_chosen()):
        raise UserError(
            f"{where}: {target.target} may write outside the run folder or connect to a server, "
            "so a config that is read from a file cannot choose it. To use it, give "
            f"{where.rpartition('.')[0]}=OPTION or {where}={{_target_: …}} in this command; "
            f"otherwise, give {where}=null."
        )


def forget_sources() -> None:
    """Free the syntax trees of checked sources, some 20 MB."""
    find_module.cache_clear()


def _stay_inside(key: str, name: Any) -> None:
    path = PurePath(str(name))
    if not path.parts:
        raise FaultyKeyError(key, f"expected a name, got {_shown(name)}.")
    if path.is_absolute() or ".." in path.parts:
        raise FaultyKeyError(
            key,
            f"{_shown(name)} leads out of the folder in which it is created. Expected a name, or "
            "names joined by '/'.",
        )
    if any(len(part.encode()) > LONGEST_NAME for part in path.parts):
        raise FaultyKeyError(
            key, f"expected at most {LONGEST_NAME} bytes between two '/', got {_shown(name)}."
        )


def target_nodes(links: Any, resolved: Any, where: str = "") -> Iterator[tuple[str, Node, Node]]:
    """Yield the dotted key, the links and the values of all nodes with a target.

    Nodes behind links are yielded once, under their own key.

    Args:
        links: Plain containers with links such as ``${key}``.
        resolved: The same containers with the values in place of the links.
        where: Dotted key of the containers.

    Raises:
        UserError: A target is not a literal name.
    """
    if isinstance(links, Mapping):
        if "_target_" in links:
            target = links["_target_"]
            if not isinstance(target, str) or "${" in target:
                raise UserError(
                    f"{where}._target_: expected the name of a class, got {_shown(target)}."
                )
            yield where, links, resolved
        for key, child in links.items():
            yield from target_nodes(child, resolved[key], f"{where}.{key}" if where else str(key))
    elif isinstance(links, list):
        for index, child in enumerate(links):
            yield from target_nodes(child, resolved[index], f"{where}[{index}]")

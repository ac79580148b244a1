"""Checking a config before anything is imported or any data is touched."""

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
"""Keys that name a folder below ``runs/``, and one below the cache."""

LONGEST_NAME = 200
"""Bytes of a file's name; disks take 255, of which endings need some."""

OBJECTS = ("data", "loss", "trainer")
"""Keys of nodes that are built as they are; the others wait for arguments that a run learns."""

FILENAME = "filename"
"""Argument that names a file in the run folder, whatever class takes it."""

LARGEST_SEED = 2**32 - 1
"""Of NumPy's generators."""

FILLED_IN = {
    "trainer": ("callbacks", "logger", "plugins", "default_root_dir"),
    "task": ("spec", "lazy_network"),
    "parameter_groups": ("module",),
    "optimizer": ("params",),
    "scheduler": ("optimizer",),
}
"""Arguments of nodes that a run gives, whatever the config holds."""

COLLECTIONS = ("callbacks", "logger")
"""Keys of a run's config that hold named nodes; one that is null is left out."""

MACHINE = ("trainer", "callbacks", "logger")
"""Keys below which Lightning's classes may be named: they write files, connect, start processes."""

Node = Mapping[str, Any]

Origin = Callable[[str], str]
"""Tells which file or override set a dotted key."""

Choice = Callable[[str, Node], bool]
"""Whether the user has chosen a node, by its dotted key and what is in it."""


def check(
    config: Config,
    *,
    origin: Origin = lambda key: "",  # noqa: ARG005
    is_chosen: Choice = lambda key, node: True,  # noqa: ARG005
) -> None:
    """Bind every ``_target_`` of a config to its signature.

    Args:
        config: A frozen config.
        origin: Returns where a key was set, for the message.
        is_chosen: Whether the user has chosen a node, by its dotted key and its links, rather than
            the file that the config was read from. Such a file may name of Lightning only what
            stays in the run folder.

    Raises:
        UserError: A key is of the wrong type, a name leads out of its folder, a target is unknown
            or not trusted, an argument is unknown or missing, or a value has the wrong type.
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
    """Ask what set a key, or the key that its value is a link to."""
    link = re.fullmatch(r"\$\{([\w.-]+)\}", str(_at(links, key)))
    return origin(link[1] if link else key)


def check_paths(config: Config, *, origin: Origin = lambda key: "") -> None:  # noqa: ARG005
    """Refuse paths of data that do not exist.

    Args:
        config: A frozen config, of a run that is going to read its data.
        origin: Returns where a key was set, for the message.

    Raises:
        UserError: A path does not exist.
    """
    with _setter_named(origin):
        for key in path_keys(config.data):
            path = select(config, key)
            if isinstance(path, str) and not exists(path):
                raise FaultyKeyError(key, f"{path} does not exist.{_near_path(Path(path))}")


def _near_path(path: Path) -> str:
    """Return a hint at existing neighbours of the first folder that is missing."""
    while not exists(str(path.parent)):
        path = path.parent
    try:
        return near(path.name, (each.name for each in path.parent.iterdir()))
    except OSError:
        return ""


def check_values(node: Any, where: str) -> None:
    """Check the nodes in resolved containers, just before they are built.

    Raises:
        UserError: A target is not trusted, or does not take its arguments.
    """
    for key, _, each in target_nodes(node, node, where):
        bind(resolve(each["_target_"]), each, partial=bool(each.get("_partial_")), where=key)


@contextmanager
def _setter_named(origin: Origin, key: str = "") -> Iterator[None]:
    """Add to a message where the faulty key was set."""
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
    _refuse_test_split("monitor", values.get("monitor"))
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
    """Refuse arguments that would be passed over, as a run gives them itself."""
    for key, names in FILLED_IN.items():
        for name in names:
            if name in links.get(key, ()):
                hint = f"Give the key {name} instead." if name in links else "Leave it out."
                raise FaultyKeyError(f"{key}.{name}", f"a run fills this in. {hint}")


def _refuse_partial(links: Node) -> None:
    """Refuse factories where a run needs the object."""
    nodes = {key: links.get(key) for key in OBJECTS}
    for key in COLLECTIONS:
        nodes |= {f"{key}.{name}": node for name, node in (links.get(key) or {}).items()}
    for key, node in nodes.items():
        if node and node.get("_partial_"):
            raise FaultyKeyError(f"{key}._partial_", "expected false: nothing completes this node.")


def _refuse_unknown(links: Node, dotted: Sequence[str]) -> None:
    """Refuse top-level keys that nothing reads: neither Leyden nor a link in the config."""
    known, linked = root_keys(), re.findall(r"\$\{\.*([\w-]+)", str(links))
    unknown = next((str(key) for key in links if key not in known.union(linked)), None)
    if unknown is not None:
        within = [key for key in dotted if key.partition(".")[0] in known]
        hint = near(unknown, within) or did_you_mean(unknown, known)
        raise FaultyKeyError(unknown, f"nothing takes this key.{hint}")


def _refuse_unused(links: Node) -> None:
    """Refuse nodes that the task does not take: they would be recorded without any effect."""
    task = links.get("task", {})
    taken = re.findall(r"\$\{\.*([\w-]+)", str(task))
    unused = next((key for key in OF_TASK if key in links and key not in taken), None)
    if task and unused is not None:
        raise FaultyKeyError(
            unused,
            "the task does not take this node, so it would have no effect. Leave it out, or give "
            f"the task {unused}: ${{{unused}}} in its file in conf/task/.",
        )


def _refuse_options_as_values(links: Node) -> None:
    """Refuse ``task.mix=mixup``, which was meant to be ``task/mix=mixup``."""
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
    """Check all seeds below a node, each at its home only."""
    if not isinstance(node, Mapping):
        return
    for key, value in node.items():
        inner = f"{where}.{key}" if where else str(key)
        is_seed = isinstance(value, int) and f"_{key}".endswith("_seed")
        if is_seed and not 0 <= value <= LARGEST_SEED:
            raise FaultyKeyError(inner, f"expected 0 to {LARGEST_SEED}, got {value}.")
        _check_seeds(value, inner)


def _refuse_test_split(key: str, monitored: Any) -> None:
    """Refuse to choose a checkpoint, the length of a run or a learning rate by the test split."""
    name = str(monitored).strip()
    if name.startswith("test/"):
        raise FaultyKeyError(
            key,
            f"{name} is refused, because the test split is not an objective: a network that is "
            "chosen by it looks better on it than on new data. Expected a metric of the "
            f"validation split, such as {name.replace('test/', 'val/', 1)}.",
        )


def _shown(value: Any) -> str:
    return f"{value!r:.80} ({type(value).__name__})"


def _check_node(where: str, node: Node, *, is_chosen: Callable[[], bool]) -> None:
    target = resolve(node["_target_"])
    bind(target, node, partial=bool(node.get("_partial_")), where=where)
    _refuse_test_split(f"{where}.monitor", node.get("monitor"))
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
            f"which a config that is read from a file does not decide. If you want it, give "
            f"{where.rpartition('.')[0]}=OPTION or {where}={{_target_: …}} in this command; if "
            f"not, give {where}=null."
        )


def forget_sources() -> None:
    """Give back the memory of what was parsed to check: some 20 MB, which imports then fill."""
    find_module.cache_clear()


def _stay_inside(key: str, name: Any) -> None:
    path = PurePath(str(name))
    if not path.parts:
        raise FaultyKeyError(key, f"expected a name, got {_shown(name)}.")
    if path.is_absolute() or ".." in path.parts:
        raise FaultyKeyError(
            key,
            f"{_shown(name)} leads out of the folder that it is made in. Expected a name, or names "
            "joined by '/'.",
        )
    if any(len(part.encode()) > LONGEST_NAME for part in path.parts):
        raise FaultyKeyError(
            key, f"expected at most {LONGEST_NAME} bytes between two '/', got {_shown(name)}."
        )


def target_nodes(links: Any, resolved: Any, where: str = "") -> Iterator[tuple[str, Node, Node]]:
    """Walk all nodes that name a target, each at its home only: dotted key, links, values.

    Args:
        links: plain containers in which a link stands as ``${key}``; they are not followed.
        resolved: the same with the values in place of the links.
        where: the dotted key of the node.

    Raises:
        UserError: A target is not a literal name.
    """
    if isinstance(links, Mapping):
        if "_target_" in links:
            target = links["_target_"]
            if not isinstance(target, str) or "${" in target:
                raise UserError(f"{where}._target_: expected a class's name, got {_shown(target)}.")
            yield where, links, resolved
        for key, child in links.items():
            yield from target_nodes(child, resolved[key], f"{where}.{key}" if where else str(key))
    elif isinstance(links, list):
        for index, child in enumerate(links):
            yield from target_nodes(child, resolved[index], f"{where}[{index}]")

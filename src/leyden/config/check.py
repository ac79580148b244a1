"""Checks of a config that import no target and read no data."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from leyden.config.choosing import look_at
from leyden.config.compose import NODES, OF_TASK, SCALARS, Config, keys, select, to_plain
from leyden.config.data_paths import path_keys
from leyden.config.fitting import learned_by, misfit, sizes_of, takes, tasks_that_learn
from leyden.config.nodes import Node, is_node, target_nodes, value_at
from leyden.config.options import groups, root_keys
from leyden.config.static.sources import find_module
from leyden.config.static.targets import bind, is_of_lightning, resolve, stays_in_run_folder
from leyden.errors import FaultyKeyError, UserError, did_you_mean, near, unexpected
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

TARGETS = {
    "class": "one class per row",
    "number": "one number per row",
    "labels": "any number of labels per row",
    "transcript": "transcripts",
    "none": "texts without targets",
}
"""What a task learns, by the kind of its targets."""

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
        UserError: If a key is unknown, unused or of the wrong type, a name leads out of its folder,
            a target is unknown or not trusted, or an argument is unknown, missing or of the wrong
            type.
    """
    links, values, dotted = to_plain(config), to_plain(config, resolve=True), keys(config)
    origin = partial(_origin_of_link, links, origin)
    with _setter_named(origin):
        _refuse_unknown(links, dotted)
        _refuse_unused(links)
        _refuse_options_as_values(links)
        _check_top(links, values)
        _check_collections(links)
        _refuse_filled_in(links)
        _check_seeds(links, dotted)
    for where, own, node in target_nodes(links, values):
        with _setter_named(origin, f"{where}._target_"):
            _check_node(where, node, is_chosen=partial(is_chosen, where, own))
    with _setter_named(origin):
        _check_fit(values.get("network"), values.get("data"))


def _origin_of_link(links: Node, origin: Origin, key: str) -> str:
    """Return the origin of a key, or of the key that it is a link to."""
    link = re.fullmatch(r"\$\{([\w.-]+)\}", str(value_at(links, key.split("."))))
    return origin(link[1] if link else key)


def check_paths(config: Config, *, origin: Origin = lambda key: "") -> None:  # noqa: ARG005
    """Raise if a path of data does not exist.

    Args:
        config: Frozen config.
        origin: Function that returns where a key was set, for messages.

    Raises:
        UserError: If a path does not exist.
    """
    with _setter_named(origin):
        for key in path_keys(config.data):
            path = select(config, key)
            if isinstance(path, str) and not exists(path):
                raise FaultyKeyError(key, f"{path} does not exist.{_near_path(Path(path))}")


def check_targets(config: Config, *, origin: Origin = lambda key: "") -> None:  # noqa: ARG005
    """Raise if a quick look at the data finds other targets than those that the task learns.

    Args:
        config: Frozen config.
        origin: Function that returns where a key was set, for messages.

    Raises:
        UserError: If the targets are others, or the source cannot be read.
    """
    values = to_plain(config, resolve=True)
    look, learned = look_at(values["data"]), learned_by(values["task"])
    if look is None or None in (look.target, learned) or look.target == learned:
        return
    assert look.target is not None
    fitting = " or ".join(f"task={name}" for name in tasks_that_learn(look.target))
    name = values["task"]["_target_"].rpartition(".")[2]
    is_open = look.decided_by and learned in ("class", "number")
    otherwise = f"; or give {look.decided_by}={learned}" if is_open else ""
    with _setter_named(origin):
        raise FaultyKeyError(
            "task",
            f"{name} learns {TARGETS[str(learned)]}, but {look.reason}. Choose a task for such "
            f"targets: {fitting or 'none in conf/task/ is'}{otherwise}.",
        )


def _near_path(path: Path) -> str:
    """Return a hint at existing names close to the first missing component of a path."""
    while not exists(str(path.parent)):
        path = path.parent
    try:
        return near(path.name, (each.name for each in path.parent.iterdir()))
    except OSError:
        return ""


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
            raise unexpected(key, "a node with a _target_", links[key])
    for key, kinds in SCALARS.items():
        if key in values and type(values[key]) not in kinds:
            raise unexpected(key, " or ".join(kind.__name__ for kind in kinds), values[key])
    _refuse_test_split("monitor", values.get("monitor"))
    for key in NAMES_OF_PLACES:
        _stay_inside(key, value_at(values, key.split(".")))


def _check_collections(links: Node) -> None:
    for key in COLLECTIONS:
        nodes = links.get(key) or {}
        if not isinstance(nodes, dict):
            raise unexpected(key, "named nodes with a _target_", nodes)
        for name, node in nodes.items():
            if node is not None and not is_node(node):
                raise unexpected(f"{key}.{name}", "a node with a _target_ or null", node)


def _refuse_filled_in(links: Node) -> None:
    """Refuse arguments that a run would replace by its own."""
    for key, names in FILLED_IN.items():
        for name in names:
            if name in links.get(key, ()):
                hint = f"Give the key {name} instead." if name in links else "Leave it out."
                raise FaultyKeyError(f"{key}.{name}", f"a run fills this in. {hint}")


def _refuse_unknown(links: Node, dotted: Sequence[str]) -> None:
    """Refuse top-level keys that neither Leyden nor a link in the config reads."""
    known = root_keys()
    unknown = next((key for key in links if key not in known | _linked(links)), None)
    if unknown is not None:
        within = [key for key in dotted if key.partition(".")[0] in known]
        hint = near(unknown, within) or did_you_mean(unknown, known)
        raise FaultyKeyError(unknown, f"nothing takes this key.{hint}")


def _refuse_unused(links: Node) -> None:
    """Refuse nodes that the task does not link: they would be recorded without effect."""
    task = links.get("task", {})
    unused = next((key for key in OF_TASK if key in links and key not in _linked(task)), None)
    if task and unused is not None:
        raise FaultyKeyError(
            unused,
            "the task does not use this node, so it would have no effect. Leave it out, or add "
            f"{unused}: ${{{unused}}} to the task's file in conf/task/.",
        )


def _linked(node: Node) -> set[str]:
    return set(re.findall(r"\$\{\.*([\w-]+)", str(node)))


def _refuse_options_as_values(links: Node) -> None:
    """Refuse ``task.mix=mixup``, which is meant to be ``task/mix=mixup``."""
    for group, options in groups().items():
        value = value_at(links, group.split("/"))
        if "/" in group and isinstance(value, str) and "${" not in value:
            choice = f"a choice by {group}=OPTION: {', '.join(options)}"
            raise unexpected(group.replace("/", "."), choice, value)


def _check_seeds(links: Node, dotted: Sequence[str]) -> None:
    for key in dotted:
        value = value_at(links, key.split("."))
        is_seed = isinstance(value, int) and re.search(r"(^|[._])seed$", key)
        if is_seed and not 0 <= value <= LARGEST_SEED:
            raise unexpected(key, f"0 to {LARGEST_SEED}", value)


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


def _check_node(where: str, node: Node, *, is_chosen: Callable[[], bool]) -> None:
    target = resolve(node["_target_"])
    bind(target, node, where=where)
    if node.get("_partial_") and (where in OBJECTS or where.rpartition(".")[0] in COLLECTIONS):
        key, flag = f"{where}._partial_", node["_partial_"]
        raise unexpected(key, "false, because nothing completes this node", flag)
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
            "so a config that is read from a file cannot choose it. To use it, give "
            f"{where.rpartition('.')[0]}=OPTION or {where}={{_target_: …}} in this command; "
            f"otherwise, give {where}=null."
        )


def _check_fit(network: Any, data: Any) -> None:
    """Refuse a network that does not take the sizes of the data, if their class names them."""
    sizes = sizes_of(data) if is_node(network) and is_node(data) else None
    if sizes is not None and not takes(network, sizes):
        target = resolve(network["_target_"])
        raise misfit(target.canonical.rpartition(".")[2], target.signature.parameters, sizes)


def forget_sources() -> None:
    """Free the syntax trees of checked sources, some 20 MB."""
    find_module.cache_clear()


def _stay_inside(key: str, name: Any) -> None:
    path = PurePath(str(name))
    if not path.parts:
        raise unexpected(key, "a name", name)
    if path.is_absolute() or ".." in path.parts:
        raise FaultyKeyError(
            key,
            f"{name!r:.80} (str) leads out of the folder in which it is created. Expected a "
            "name, or names joined by '/'.",
        )
    if any(len(part.encode()) > LONGEST_NAME for part in path.parts):
        raise unexpected(key, f"at most {LONGEST_NAME} bytes between two '/'", name)

"""Origins of the values of a config, and hints for invalid overrides."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from leyden.config.compose import (
    ACROSS_GROUPS,
    ROOT_CONFIG,
    compose,
    config_files,
    groups,
    keys,
    read_option,
    replaced,
    select,
)
from leyden.config.static.targets import accepts, resolve
from leyden.errors import UserError, did_you_mean


def composed_origin(
    key: str, *, overrides: Sequence[str], choices: Mapping[str, str | None]
) -> str:
    """Return what has set a dotted key of a composed config: an override or a file of ``conf/``.

    Args:
        key: Dotted key, such as ``network.dropout``; overrides of a key inside or around it count
            too.
        overrides: Overrides of the command line.
        choices: Chosen option of each group, as Hydra records them.
    """
    if override := _override_of(key, overrides):
        return f"the override {override}"
    path = key.split(".")
    places = [(group, path) for group in reversed(ACROSS_GROUPS)]
    places += [("/".join(path[:depth]), path[depth:]) for depth in range(len(path), 0, -1)]
    for group, inner in places:
        for option in _chosen(group, choices):
            if file := _setter(f"{group}/{option}", inner):
                return file
    return f"conf/{ROOT_CONFIG}.yaml"


def frozen_origin(key: str, *, overrides: Sequence[str], path: Path) -> str:
    """Return what has set a dotted key of a run's config: an override or the file at ``path``."""
    override = _override_of(key, overrides)
    return f"the override {override}" if override else str(path)


def is_chosen(key: str, node: Any, *, overrides: Sequence[str]) -> bool:
    """Whether the user has chosen a node, rather than the file from which its config was read.

    A node counts as chosen if an override gives the option of its group or the whole node, or if
    it is also a node of ``conf/``, up to its boolean values.

    Args:
        key: Dotted key of the node.
        node: Node with its links, as the file has it.
        overrides: Overrides of this command.
    """
    return any(f"{key}.".startswith(f"{name}.") for name in replaced(overrides)) or any(
        _without_flags(_value(yaml.safe_load(file.read_text()), inner)) == _without_flags(node)
        for file, inner in _files_of(key)
    )


def _without_flags(node: Any) -> Any:
    """Return a copy of a node in which true and false are equal."""
    if isinstance(node, dict):
        return {key: _without_flags(child) for key, child in node.items()}
    return bool if isinstance(node, bool) else node


def options_that_accept(group: str, arguments: Collection[str]) -> list[str]:
    """List the options of a group whose class takes these arguments and requires no others."""
    found = []
    for option in groups().get(group, []):
        node = read_option(f"{group}/{option}")
        with suppress(UserError, KeyError):
            if accepts(resolve(node["_target_"]), arguments, node):
                found.append(option)
    return found


def _files_of(key: str) -> Iterator[tuple[Path, Sequence[str]]]:
    """Yield the files of ``conf/`` that may set a key, and the path of the key in each."""
    path = key.split(".")
    for name, file in config_files().items():
        group = name.split("/")[:-1]
        if group and group[0] in ACROSS_GROUPS:
            yield file, path
        elif path[: len(group)] == group:
            yield file, path[len(group) :]


@contextmanager
def worded(overrides: Sequence[str]) -> Iterator[None]:
    """Convert errors of Hydra and OmegaConf to ``UserError``.

    Raises:
        UserError: Hydra or OmegaConf raised an error inside the block.
    """
    try:
        yield
    except Exception as error:
        if (for_users := as_user_error(error, overrides)) is None:
            raise
        raise for_users from error


def as_user_error(error: Exception, overrides: Sequence[str]) -> UserError | None:
    """Convert an error of Hydra or OmegaConf; ``None`` for other errors."""
    if isinstance(error, OverrideParseException):
        return UserError(
            f"The override {error.override} cannot be parsed: {str(error).splitlines()[0]}. "
            "Expected KEY=VALUE with all brackets and quotes closed; quote values with special "
            "characters twice: 'KEY=\"VALUE\"'."
        )
    if isinstance(error, MissingConfigException):
        return UserError(_unknown_option(error))
    if isinstance(error, HydraException | OmegaConfBaseException):
        return UserError(_unknown_key(error, overrides) or _plain(error))
    return None


def _override_of(key: str, overrides: Sequence[str]) -> str | None:
    for override in reversed(overrides):
        name = override.lstrip("+~").split("=")[0]
        around = key.startswith(f"{name}.") and name not in groups()
        if name == key or name.startswith(f"{key}.") or around:
            return override
    return None


def _chosen(group: str, choices: Mapping[str, str | None]) -> list[str]:
    """List the chosen options of a group; all options if Hydra has not recorded a choice."""
    if group not in choices:  # Hydra does not record choices that are lists
        return [] if group in ACROSS_GROUPS else groups().get(group, [])
    option = choices[group]
    return [option] if option else []


def _setter(config: str, path: Sequence[str]) -> str | None:
    """Return the file that sets a key of an option, or ``None``."""
    return next((file for file, node in _layers(config) if _holds(node, path)), None)


def _layers(config: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the file of an option and its base files, by precedence, with their contents."""
    node = read_option(config)
    if not node:
        return
    yield f"conf/{config}.yaml", node
    group = config.rpartition("/")[0]
    for item in reversed(node.get("defaults", [])):
        if isinstance(item, str):
            yield from _layers(f"{group}/{item}")


def _holds(node: Any, path: Sequence[str]) -> bool:
    return _value(node, path) is not ...


def _value(node: Any, path: Sequence[str]) -> Any:
    """Return the value at a path, or ``...`` if there is none."""
    for name in path:
        if not isinstance(node, dict) or name not in node:
            return ...
        node = node[name]
    return node


def _unknown_option(error: MissingConfigException) -> str:
    missing = str(error.missing_cfg_file)
    group, _, option = missing.rpartition("/")
    known = groups().get(group, [])
    if not known:
        return f"There is no config file conf/{missing}.yaml.{did_you_mean(group, groups())}"
    return (
        f"The group {group} has no option {option!r}.{did_you_mean(option, known)} "
        f"Expected one of {', '.join(known)}: the files of conf/{group}/."
    )


def _unknown_key(error: Exception, overrides: Sequence[str]) -> str | None:
    found = re.search(r"Could not override '([^']+)'", str(error))
    if found is None:
        return None
    key = found[1].split("@")[0]
    override = next((item for item in overrides if item.lstrip("+~").startswith(key)), key)
    if key in groups():
        group, _, inner = key.rpartition("/")
        if not group:
            return (
                f"The override {override} has no effect: neither conf/{ROOT_CONFIG}.yaml nor the "
                f"chosen task uses the group {key}. Leave it out."
            )
        owners = " or ".join(f"{group}={option}" for option in _options_with(group, inner))
        return f"The override {override} needs {owners}: nothing else has the group {key}."
    if remover := next((item for item in overrides if _removes(item, key)), None):
        return f"The override {override} sets a key that {remover} leaves out."
    try:
        config = compose([item for item in overrides if item.split("=")[0] in groups()])
    except HydraException:
        config = compose([])
    parent, _, name = key.rpartition(".")
    if parent and _takes(config, parent, name):
        return f"The override {override} adds a key that no file of conf/ sets: write +{override}."
    known = keys(config)
    hint = did_you_mean(key, [*known, *groups()])
    if "Did you mean" not in hint:
        parent = next((p for p in _parents(key) if p in known), "")
        siblings = [k for k in known if k.rpartition(".")[0] == parent]
        hint = did_you_mean(key, siblings)
    return f"The override {override} names an unknown key.{hint} To add a new key, write +{key}=."


def _options_with(group: str, inner: str) -> Iterator[str]:
    """Yield the options of a group that have a nested group."""
    for option in groups().get(group, ()):
        defaults = [
            item for _, node in _layers(f"{group}/{option}") for item in node.get("defaults", ())
        ]
        if any(isinstance(item, dict) and inner in item for item in defaults):
            yield option


def _removes(override: str, key: str) -> bool:
    """Whether an override leaves out the node that contains a key."""
    name, _, value = override.partition("=")
    return key.startswith(f"{name.lstrip('~')}.") and value in ("", "null", "[]")


def _takes(config: Any, node: str, argument: str) -> bool:
    """Whether the target of the node at a dotted key takes an argument."""
    with suppress(UserError):
        target = select(config, f"{node}._target_")
        return isinstance(target, str) and argument in resolve(target).signature.parameters
    return False


def _parents(key: str) -> list[str]:
    names = key.split(".")
    return [".".join(names[:count]) for count in range(len(names) - 1, 0, -1)]


def _plain(error: Exception) -> str:
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return " ".join(lines)

"""Where a config value was set, and what a person may have meant by an unknown one."""

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
    CONF,
    ROOT_CONFIG,
    compose,
    groups,
    keys,
    replaced,
    select,
)
from leyden.config.static.targets import accepts, resolve
from leyden.errors import UserError, did_you_mean


def composed_origin(
    key: str, *, overrides: Sequence[str], choices: Mapping[str, str | None]
) -> str:
    """Name what set a dotted key of a composed config: an override, or a file of ``conf/``.

    Args:
        key: such as ``network.dropout``; an override of a key inside or around it counts too.
        overrides: those of the command line.
        choices: the chosen options of each group, as Hydra records them.
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
    """Name what set a dotted key of a run's config: an override, or the run's own file."""
    override = _override_of(key, overrides)
    return f"the override {override}" if override else str(path)


def is_chosen(key: str, node: Any, *, overrides: Sequence[str]) -> bool:
    """Whether the user, rather than the file that a config was read from, has chosen a node.

    Args:
        key: Dotted key of the node.
        node: The node as the file has it, with its links; it may be one of ``conf/`` as well, in
            which only true and false may be exchanged.
        overrides: Those of this command. The option of a group counts, and a node that is given as
            a whole; a single value within a node does not.
    """
    return any(f"{key}.".startswith(f"{name}.") for name in replaced(overrides)) or any(
        _without_flags(_value(yaml.safe_load(file.read_text()), inner)) == _without_flags(node)
        for file, inner in _files_of(key)
    )


def _without_flags(node: Any) -> Any:
    """Copy a node with one value in the place of true and false."""
    if isinstance(node, dict):
        return {key: _without_flags(child) for key, child in node.items()}
    return bool if isinstance(node, bool) else node


def options_that_accept(group: str, arguments: Collection[str]) -> list[str]:
    """List the options of a group whose class takes these arguments and needs no others."""
    found = []
    for option in groups().get(group, []):
        node = yaml.safe_load((CONF / group / f"{option}.yaml").read_text()) or {}
        with suppress(UserError, KeyError):
            if accepts(resolve(node["_target_"]), arguments, node):
                found.append(option)
    return found


def _files_of(key: str) -> Iterator[tuple[Path, Sequence[str]]]:
    """Find the files of ``conf/`` that may set a key, and the path of the key in each."""
    path = key.split(".")
    for file in CONF.rglob("*.yaml"):
        group = file.relative_to(CONF).parts[:-1]
        if group and group[0] in ACROSS_GROUPS:
            yield file, path
        elif tuple(path[: len(group)]) == group:
            yield file, path[len(group) :]


@contextmanager
def worded(overrides: Sequence[str]) -> Iterator[None]:
    """Turn errors of Hydra and OmegaConf into ones that a person can act on.

    Raises:
        UserError: one was raised inside.
    """
    try:
        yield
    except Exception as error:
        if (for_users := as_user_error(error, overrides)) is None:
            raise
        raise for_users from error


def as_user_error(error: Exception, overrides: Sequence[str]) -> UserError | None:
    """Word an error of Hydra or OmegaConf for a person; ``None`` if it is of another kind."""
    if isinstance(error, OverrideParseException):
        return UserError(
            f"The override {error.override} can't be parsed: {str(error).splitlines()[0]}. "
            "Expected KEY=VALUE with all brackets and quotes closed; put a value that holds "
            "special characters in quotes of its own: 'KEY=\"VALUE\"'."
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
    """List the options of a group that may set a key."""
    if group not in choices:  # Hydra does not record choices that are lists
        return [] if group in ACROSS_GROUPS else groups().get(group, [])
    option = choices[group]
    return [option] if option else []


def _setter(config: str, path: Sequence[str]) -> str | None:
    """Name the file that sets a key: that of a config, or of one that its defaults list names."""
    file = CONF / f"{config}.yaml"
    if not file.is_file():
        return None
    node = yaml.safe_load(file.read_text()) or {}
    if _holds(node, path):
        return f"conf/{config}.yaml"
    defaults = node.get("defaults", [])
    group = config.rpartition("/")[0]
    siblings = (f"{group}/{item}" for item in reversed(defaults) if isinstance(item, str))
    return next(filter(None, (_setter(sibling, path) for sibling in siblings)), None)


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
        return f"The override {override} adds what no file of conf/ gives: write +{override}."
    known = keys(config)
    hint = did_you_mean(key, [*known, *groups()])
    if "Did you mean" not in hint:
        parent = next((p for p in _parents(key) if p in known), "")
        siblings = [k for k in known if k.rpartition(".")[0] == parent]
        hint = did_you_mean(key, siblings)
    return f"The override {override} names an unknown key.{hint} To add a new key, write +{key}=."


def _options_with(group: str, inner: str) -> Iterator[str]:
    """Yield the options of a group that have a group of their own within."""
    for option in groups().get(group, ()):
        node = yaml.safe_load((CONF / group / f"{option}.yaml").read_text()) or {}
        if any(isinstance(item, dict) and inner in item for item in node.get("defaults", ())):
            yield option


def _removes(override: str, key: str) -> bool:
    """Whether an override leaves out the node that a key is in."""
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

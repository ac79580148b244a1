"""Origins of the values of a config, and hints for invalid overrides."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from leyden.config.compose import compose, hint_at, replaced_keys, to_plain
from leyden.config.nodes import is_node, value_at
from leyden.config.options import ACROSS_GROUPS, ROOT_CONFIG, config_files, groups, layers
from leyden.config.setters import COMMAND_LINE, find_choosers, find_setters, overrides_of
from leyden.config.static.targets import resolve
from leyden.errors import UserError, did_you_mean, first_line, near


def composed_origin(key: str, *, overrides: Sequence[str]) -> str:
    """Return what has set a dotted key of a composed config: an override, or a file with its line.

    Args:
        key: Dotted key, such as ``network.dropout``; overrides of a key inside or around it count
            too.
        overrides: Overrides of the command line.
    """
    group = key.replace(".", "/")
    choosers = find_choosers(group, overrides) if group in groups() else []
    setters = [*choosers, *find_setters(key, overrides)]
    if not setters:
        return f"conf/{ROOT_CONFIG}.yaml"
    last = setters[-1]
    return f"the override {last.text}" if last.place == COMMAND_LINE else last.place


def frozen_origin(key: str, *, overrides: Sequence[str], path: Path) -> str:
    """Return what has set a dotted key of a run's config: an override or the file at ``path``."""
    override = next(reversed(overrides_of(key, overrides)), None)
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
    return any(f"{key}.".startswith(f"{name}.") for name in replaced_keys(overrides)) or any(
        _without_flags(value_at(yaml.safe_load(file.read_text()), inner)) == _without_flags(node)
        for file, inner in _files_of(key)
    )


def _without_flags(node: Any) -> Any:
    """Return a copy of a node in which true and false are equal."""
    if isinstance(node, dict):
        return {key: _without_flags(child) for key, child in node.items()}
    return bool if isinstance(node, bool) else node


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
def convert_errors(overrides: Sequence[str]) -> Iterator[None]:
    """Convert errors of Hydra and OmegaConf to ``UserError``.

    Raises:
        UserError: If Hydra or OmegaConf raised an error inside the block.
    """
    try:
        yield
    except OverrideParseException as error:
        raise UserError(
            f"The override {error.override} cannot be parsed: {first_line(error)}. "
            "Expected KEY=VALUE with all brackets and quotes closed; quote values with special "
            "characters twice: 'KEY=\"VALUE\"'."
        ) from error
    except MissingConfigException as error:
        raise UserError(_unknown_option(error)) from error
    except (HydraException, OmegaConfBaseException) as error:
        message = _unknown_key(error, overrides) or " ".join(str(error).split())
        raise UserError(message) from error


def _unknown_option(error: MissingConfigException) -> str:
    missing = str(error.missing_cfg_file)
    group, _, option = missing.rpartition("/")
    known = groups().get(group, [])
    if not known:
        return f"There is no config file conf/{missing}.yaml.{did_you_mean(group, groups())}"
    return (
        f"The group {group} has no option {option!r}.{near(option, known)} "
        f"Expected one of {', '.join(known)}: the files of conf/{group}/."
    )


def _unknown_key(error: Exception, overrides: Sequence[str]) -> str | None:
    found = re.search(r"Could not override '([^']+)'", str(error))
    if found is None:
        return None
    key = found[1].split("@")[0]
    override = next((item for item in overrides if item.lstrip("+~").startswith(key)), key)
    if key in groups():
        return _unused_group(key, override)
    if remover := next((item for item in overrides if _removes(item, key)), None):
        return f"The override {override} sets a key that {remover} leaves out."
    try:
        config = compose([item for item in overrides if item.split("=")[0] in groups()])
    except HydraException:
        config = compose([])
    *path, name = key.split(".")
    node = value_at(to_plain(config), path)
    message = f"The override {override} names an unknown key.{hint_at(key, config)}"
    if not is_node(node):
        return f"{message} To add a new key, write +{key}=."
    with suppress(UserError):
        if name in resolve(str(node["_target_"])).signature.parameters:
            return f"The override {override} adds a key that conf/ does not set: write +{override}."
    return message


def _unused_group(key: str, override: str) -> str:
    group, _, inner = key.rpartition("/")
    if not group:
        return (
            f"The override {override} has no effect: neither conf/{ROOT_CONFIG}.yaml nor the "
            f"chosen task uses the group {key}. Leave it out."
        )
    owners = [
        f"{group}={option}"
        for option in groups().get(group, ())
        for _, node in layers(f"{group}/{option}")
        if any(isinstance(item, dict) and inner in item for item in node.get("defaults", ()))
    ]
    return f"The override {override} needs {' or '.join(owners)}: nothing else has the group {key}."


def _removes(override: str, key: str) -> bool:
    """Whether an override leaves out the node that contains a key."""
    name, _, value = override.partition("=")
    return key.startswith(f"{name.lstrip('~')}.") and value in ("", "null", "[]")

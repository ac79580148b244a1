"""Where a config value was set, and what a person may have meant by an unknown one."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from leyden.config.compose import CONF, ROOT_CONFIG, compose, groups, keys
from leyden.errors import UserError, did_you_mean


def composed_origin(
    key: str, *, overrides: Sequence[str], choices: Mapping[str, str | None]
) -> str:
    """Name what set a dotted key of a composed config: an override, or a file of ``conf/``.

    Args:
        key: such as ``network.dropout``; an override of a key inside it counts too.
        overrides: those of the command line.
        choices: the chosen option of each group, as Hydra records them.
    """
    if override := _override_of(key, overrides):
        return f"the override {override}"
    for group in ("debug", "experiment"):
        if (option := choices.get(group)) and _sets(f"{group}/{option}", key.split(".")):
            return f"conf/{group}/{option}.yaml"
    group, *inner = key.split(".")
    option = choices.get(group)
    if option and _sets(f"{group}/{option}", inner):
        return f"conf/{group}/{option}.yaml"
    return f"conf/{ROOT_CONFIG}.yaml"


def frozen_origin(key: str, *, overrides: Sequence[str], path: Path) -> str:
    """Name what set a dotted key of a run's config: an override, or the run's own file."""
    override = _override_of(key, overrides)
    return f"the override {override}" if override else str(path)


def as_user_error(error: Exception, overrides: Sequence[str]) -> UserError | None:
    """Word an error of Hydra or OmegaConf for a person; ``None`` if it is of another kind."""
    if isinstance(error, MissingConfigException):
        return UserError(_unknown_option(error))
    if isinstance(error, HydraException | OmegaConfBaseException):
        return UserError(_unknown_key(error, overrides) or _plain(error))
    return None


def _override_of(key: str, overrides: Sequence[str]) -> str | None:
    for override in reversed(overrides):
        name = override.lstrip("+~").split("=")[0]
        if name == key or name.startswith(f"{key}."):
            return override
    return None


def _sets(config: str, path: Sequence[str]) -> bool:
    file = CONF / f"{config}.yaml"
    node = yaml.safe_load(file.read_text()) if file.is_file() else None
    for name in path:
        if not isinstance(node, dict) or name not in node:
            return False
        node = node[name]
    return True


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
    others = [item for item in overrides if item.split("=")[0] in groups()]
    try:
        known = keys(compose(others))
    except HydraException:
        known = list(groups())
    hint = did_you_mean(key, [*known, *groups()])
    if "Did you mean" not in hint:
        parent = next((p for p in _parents(key) if p in known), "")
        siblings = [k for k in known if k.rpartition(".")[0] == parent]
        hint = did_you_mean(key, siblings)
    return f"The override {override} names an unknown key.{hint} To add a new key, write +{key}=."


def _parents(key: str) -> list[str]:
    names = key.split(".")
    return [".".join(names[:count]) for count in range(len(names) - 1, 0, -1)]


def _plain(error: Exception) -> str:
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return " ".join(lines)

"""Files of ``conf/``: the config groups and their options."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from leyden.config.data_paths import path_keys
from leyden.config.projects import conf_folders

ROOT_CONFIG = "train"

ACROSS_GROUPS = ("experiment", "debug")
"""Groups whose options set keys of other groups."""


def config_files() -> dict[str, Path]:
    """Map names such as ``network/cnn`` to files; files of projects take precedence."""
    return {
        file.relative_to(folder).with_suffix("").as_posix(): file
        for folder in reversed(conf_folders())
        for file in sorted(folder.rglob("*.yaml"))
    }


def read_option(name: str) -> dict[str, Any]:
    """Read the file of an option such as ``network/cnn``; an empty dict if there is none."""
    files = (folder / f"{name}.yaml" for folder in conf_folders())
    file = next((file for file in files if file.is_file()), None)
    return (yaml.safe_load(file.read_text()) if file else None) or {}


def layers(option: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the file of an option and its base files, by precedence, with their contents."""
    node = read_option(option)
    if not node:
        return
    yield f"conf/{option}.yaml", node
    group = option.rpartition("/")[0]
    for item in reversed(node.get("defaults", [])):
        if isinstance(item, str):
            yield from layers(f"{group}/{item}")


def groups() -> dict[str, list[str]]:
    """Map the config groups to their options; files whose names begin with ``_`` are none."""
    found: dict[str, list[str]] = {}
    for name in sorted(config_files()):
        group, _, option = name.rpartition("/")
        if group and not option.startswith("_"):
            found.setdefault(group, []).append(option)
    return found


def path_keys_of_options() -> set[str]:
    """Return the keys that are paths in any option of ``data``."""
    options = (read_option(f"data/{option}") for option in groups()["data"])
    return {key for option in options for key in path_keys(option)}


def root_keys() -> set[str]:
    """Return the top-level keys of a config: those of ``train.yaml`` and the groups."""
    found = {*read_option(ROOT_CONFIG), *(group.partition("/")[0] for group in groups())}
    return found - {"defaults", "hydra", *ACROSS_GROUPS}

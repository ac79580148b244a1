"""Composing configs with Hydra, and freezing them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from leyden.config.data_paths import path_keys
from leyden.config.links import DEEPEST, LARGEST, follow_links, holds_only_links
from leyden.config.projects import CONF, conf_folders
from leyden.errors import UserError, did_you_mean, near
from leyden.files import written_aside

Config = DictConfig
"""A config, for those who only pass it on and read its keys."""

ROOT_CONFIG = "train"

ACROSS_GROUPS = ("experiment", "debug")
"""Groups that hold keys of others."""

OF_TASK = ("network", "loss", "parameter_groups", "optimizer", "scheduler")
"""Keys of nodes that only a task takes, by links such as ``${loss}``."""

NODES = ("data", "task", *OF_TASK, "trainer")
"""Keys of a run's config that hold a node with a ``_target_``."""

SCALARS: dict[str, tuple[type, ...]] = {
    "name": (str, int, float),
    "seed": (int,),
    "monitor": (str,),
    "mode": (str, NoneType),
    "matmul_precision": (str,),
}
"""Keys of a run's config that hold a value of one of these types."""

REQUIRED = (*(key for key in NODES if key != "loss"), *SCALARS)  # a task may take no loss

LONGEST_NUMBER = 100
"""Characters of a number or date in a file: the time that reading takes grows with their square."""


class _ProjectsFirst(SearchPathPlugin):
    """Lets Hydra search the configs of projects before those of Leyden."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Put the folders in front of the one that Hydra was given."""
        for folder in reversed(conf_folders()[:-1]):
            search_path.prepend("leyden.project", str(folder), anchor="main")


def config_dir() -> str:
    """Return the folder that Hydra is to be given; it then searches those of projects too."""
    Plugins.instance().register(_ProjectsFirst)
    return str(CONF)


def compose(overrides: Sequence[str], *, with_hydra: bool = False) -> Config:
    """Compose ``conf/train.yaml`` as the command line would.

    Args:
        overrides: as on the command line.
        with_hydra: keep Hydra's own node.
    """
    with initialize_config_dir(config_dir=config_dir(), version_base="1.3"):
        return hydra_compose(ROOT_CONFIG, list(overrides), return_hydra_config=with_hydra)


def without_hydra(config: Config) -> Config:
    """Copy a config without Hydra's own node."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def config_files() -> dict[str, Path]:
    """Map names such as ``network/cnn`` to files; a project's replaces one of Leyden's."""
    return {
        file.relative_to(folder).with_suffix("").as_posix(): file
        for folder in reversed(conf_folders())
        for file in sorted(folder.rglob("*.yaml"))
    }


def read_option(name: str) -> dict[str, Any]:
    """Read the file of an option such as ``network/cnn``; empty if there is none."""
    files = (folder / f"{name}.yaml" for folder in conf_folders())
    file = next((file for file in files if file.is_file()), None)
    return (yaml.safe_load(file.read_text()) if file else None) or {}


def groups() -> dict[str, list[str]]:
    """List the config groups and their options: files that begin with _ only serve others."""
    found: dict[str, list[str]] = {}
    for name in sorted(config_files()):
        group, _, option = name.rpartition("/")
        if group and not option.startswith("_"):
            found.setdefault(group, []).append(option)
    return found


def path_keys_of_options() -> set[str]:
    """Return the keys that are paths with any option of ``data``, before one is composed."""
    options = (read_option(f"data/{option}") for option in groups()["data"])
    return {key for option in options for key in path_keys(option)}


def root_keys() -> set[str]:
    """List the top-level keys that a config may have: those of its file, and its groups."""
    found = {*read_option(ROOT_CONFIG), *(group.partition("/")[0] for group in groups())}
    return found - {"defaults", "hydra", *ACROSS_GROUPS}


def freeze(config: Config) -> Config:
    """Copy a config so that it means the same at any time, in any folder and without Hydra.

    Every interpolation is evaluated (environment, clock, Hydra's own values) except links between
    the config's own keys, so that an override reaches every place that uses a value. Paths of data
    become absolute, and a ``_target_`` is always literal.

    Raises:
        UserError: A value is missing, cannot be evaluated, or is not a plain value.
    """
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = error.full_key
        raise UserError(f"{key} is missing. Expected a value: give {key}=VALUE.") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'config'}: {_first_line(error)}.") from error
    links = OmegaConf.to_container(config, resolve=False)
    plain = _evaluated(links, resolved)
    follow_links(plain)
    frozen: Config = OmegaConf.create(plain)
    for key in path_keys(plain.get("data")):
        path = OmegaConf.select(frozen, key)
        if isinstance(path, str | int | float) and path:
            # pathlib raises for the home of an unknown user
            home = os.path.expanduser(str(path))  # noqa: PTH111
            OmegaConf.update(frozen, key, str(Path(home).resolve()))
    OmegaConf.set_struct(frozen, value=True)
    return frozen


def save(config: Config, path: Path) -> None:
    """Write a frozen config."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_text(OmegaConf.to_yaml(config))


def load(path: Path, overrides: Sequence[str] = (), *, own: bool = False) -> Config:
    """Read a frozen config and change it by overrides.

    Args:
        path: ``config.yaml`` of a run.
        overrides: Changes, which may use resolvers; the file may not.
        own: Whether this command wrote the file, as for the ranks that it starts. Any other file
            may be a stranger's: see ``from_plain``.

    Raises:
        UserError: The file is damaged, or an override cannot be applied.
    """
    return from_plain(read_plain(path), overrides, source=str(path), own=own)


def from_plain(
    config: dict[str, Any],
    overrides: Sequence[str] = (),
    *,
    source: str = "the config",
    own: bool = False,
) -> Config:
    """Make a config of plain containers, as a checkpoint carries it, and change it.

    A config that is not this command's own does not choose where to keep caches and where to
    download from: only an override does.

    Args:
        config: Of unknown origin; nothing in it is evaluated but links between its keys.
        overrides: Changes, which may use resolvers.
        source: Where the config is from, for messages.
        own: Whether this command composed the config.

    Raises:
        UserError: It is not the frozen config of a run, or an override cannot be applied.
    """
    if missing := [key for key in REQUIRED if key not in config]:
        raise UserError(
            f"{source} is refused: it lacks {', '.join(missing)}. Expected a config that `leyden "
            "train` of this version wrote; start a new run."
        )
    try:
        follow_links(config)
    except UserError as error:
        raise UserError(f"{source} is refused: {error}") from error
    return with_overrides(OmegaConf.create(config if own else without_places(config)), overrides)


def without_places(config: dict[str, Any]) -> dict[str, Any]:
    """Copy a plain config without where to keep caches and where to download from.

    A run learns the same wherever they are, so each command chooses them anew.
    """
    data = config.get("data")
    if not isinstance(data, dict):
        return config
    kept = {key: value for key, value in data.items() if key != "mirrors"}
    return {**config, "data": kept | ({"cache_dir": None} if "cache_dir" in kept else {})}


def read_plain(path: Path) -> dict[str, Any]:
    """Read the file of a frozen config, without checking what is in it.

    Raises:
        UserError: The file is missing or damaged.
    """
    fault = "it does not hold the config of a run"
    plain = None
    try:
        if path.stat().st_size <= LARGEST:
            plain = yaml.load(path.read_text(encoding="utf-8"), _FrozenLoader)  # noqa: S506  # a safe one
        else:
            fault = f"it has more than {LARGEST:,} bytes"
    except yaml.MarkedYAMLError as error:
        fault = f"{error.problem}, {error.problem_mark}".replace("\n", " ")
    except (yaml.YAMLError, ValueError, OSError) as error:
        fault = _first_line(error)
    if not isinstance(plain, dict):
        raise UserError(
            f"{path} is damaged: {fault}. Start a new run; what this one has learned is in its "
            "checkpoints, which `leyden evaluate` and `predict` take."
        )
    return plain


class _FrozenLoader(yaml.SafeLoader):
    """Reads what ``save`` writes: without aliases, which multiply, or tags; nested to a limit."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node of the document."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds an alias, and a run writes none")
        if self.depth > DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {DEEPEST} levels deep")
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise yaml.YAMLError("it holds a tag, and a run writes none")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        is_text = node is None or node.tag == "tag:yaml.org,2002:str"
        if not is_text and isinstance(node, yaml.ScalarNode) and len(node.value) > LONGEST_NUMBER:
            raise yaml.YAMLError(f"it holds a number of more than {LONGEST_NUMBER} characters")
        return node


def to_plain(config: Config, *, resolve: bool = False) -> dict[str, Any]:
    """Convert a frozen config to plain containers, with the values in place of links on demand."""
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
    return follow_links(plain) if resolve else plain


def with_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """Change a frozen config by values (``trainer.devices=2``) or whole options (``trainer=cpu``).

    Raises:
        UserError: an override can't be parsed or names an unknown key.
    """
    changed = config.copy()
    options = groups()
    parsed = _parsed(overrides)
    # Options first: they bring keys that values may then change, wherever they stand.
    for override in sorted(parsed, key=lambda override: override.key_or_group not in options):
        key, known = override.key_or_group, keys(changed)
        if override.is_sweep_override():
            raise UserError(
                f"The override {override.input_line} gives several values, where one is expected. "
                "Only `leyden train -m` sweeps, and only over new runs."
            )
        if key in options:
            _choose(changed, key, str(override.input_line))
        elif key in known or override.is_add():
            value = override.value()
            # A whole node replaces one of another class, whose arguments do not fit it.
            OmegaConf.update(changed, key, value, merge=not is_node(value), force_add=True)
        else:
            raise UserError(
                f"The override {override.input_line} names an unknown key."
                f"{near(key, known) or did_you_mean(key, changed)}"
            )
    return freeze(changed)


def replaced(overrides: Sequence[str]) -> list[str]:
    """List the dotted keys whose nodes these overrides replace, rather than change."""
    options = groups()
    return [
        override.key_or_group.replace("/", ".")
        for override in _parsed(overrides)
        if override.key_or_group in options or is_node(override.value())
    ]


def _parsed(overrides: Sequence[str]) -> list[Override]:
    parsed: list[Override] = OverridesParser.create().parse_overrides(list(overrides))
    return parsed


def _choose(config: Config, group: str, override: str) -> None:
    """Put another option in the place of a group's."""
    if group in ACROSS_GROUPS:
        raise UserError(
            f"The override {override} chooses keys of many groups, which a run has settled. Give "
            f"the keys that you need, as conf/{group}/ holds them: KEY=VALUE."
        )
    key = group.replace("/", ".")
    option = OmegaConf.select(compose([override]), key)
    OmegaConf.update(config, key, option, merge=False, force_add=True)


def select(config: Config, key: str) -> Any:
    """Give the value of a dotted key; ``None`` where there is none."""
    return OmegaConf.select(config, key)


def is_node(value: Any) -> bool:
    """Whether a plain value is a node that names what it becomes."""
    return isinstance(value, dict) and "_target_" in value


def keys(config: Config) -> list[str]:
    """List every dotted key of a config, without following links."""
    return list(_dotted_keys(to_plain(config)))


def _dotted_keys(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, child in node.items():
        if not key.startswith("_"):
            yield f"{prefix}{key}"
        if isinstance(child, dict):
            yield from _dotted_keys(child, f"{prefix}{key}.")


def _evaluated(links: Any, resolved: Any, key: str = "") -> Any:
    """Replace interpolations by their values; leave links between keys alone."""
    if isinstance(links, dict):
        return {name: _evaluated(links[name], resolved[name], str(name)) for name in links}
    if isinstance(links, list):
        return [_evaluated(*pair, key) for pair in zip(links, resolved, strict=True)]
    is_kept = "${" in str(links) and holds_only_links(str(links)) and key != "_target_"
    return links if is_kept else _literal(resolved, key)


def _literal(value: Any, key: str) -> Any:
    """Refuse a value that would be evaluated once more, such as one of an escape."""
    if isinstance(value, dict):
        return {name: _literal(child, str(name)) for name, child in value.items()}
    if isinstance(value, list):
        return [_literal(child, key) for child in value]
    if isinstance(value, str) and "${" in value:
        raise UserError(
            f"{key}={value} holds ${{ once it is evaluated. Expected a value without it, because "
            "the config of a run is read again later."
        )
    return value


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]

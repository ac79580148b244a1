"""Composing configs with Hydra, and freezing them."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import NoneType
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.hydra import Hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from leyden.config import source_names
from leyden.config.choosing import Choice, ChoosingLoader
from leyden.config.data_paths import path_keys
from leyden.config.links import DEEPEST, LARGEST, follow_links, holds_only_links
from leyden.config.nodes import is_node
from leyden.config.options import ACROSS_GROUPS, ROOT_CONFIG, groups
from leyden.config.projects import CONF, conf_folders
from leyden.errors import UserError, did_you_mean, first_line, near
from leyden.files import write_aside

source_names.register()

Config = DictConfig
"""Type of a config, for modules that do not import OmegaConf."""

OF_TASK = ("network", "loss", "parameter_groups", "optimizer", "scheduler")
"""Keys of nodes that only the task uses, by links such as ``${loss}``."""

NODES = ("data", "task", *OF_TASK, "trainer")
"""Keys that hold a node with a ``_target_``."""

SCALARS: dict[str, tuple[type, ...]] = {
    "name": (str, int, float),
    "seed": (int,),
    "monitor": (str,),
    "mode": (str, NoneType),
    "matmul_precision": (str,),
}
"""Types of the keys that hold a single value."""

REQUIRED = (*(key for key in NODES if key != "loss"), *SCALARS)  # a task may compute its own loss

LONGEST_NUMBER = 100
"""Maximum characters of a number or date in a file; parsing takes quadratic time."""


class _ProjectsFirst(SearchPathPlugin):
    """Makes Hydra search the configs of projects before those of Leyden."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Prepend the folders of projects to the search path."""
        for folder in reversed(conf_folders()[:-1]):
            search_path.prepend("leyden.project", str(folder), anchor="main")


def config_dir() -> str:
    """Return Hydra's config folder, and make Hydra search the folders of projects too."""
    Plugins.instance().register(_ProjectsFirst)
    return str(CONF)


def compose(overrides: Sequence[str], *, with_hydra: bool = False) -> Config:
    """Compose ``conf/train.yaml`` as the command line does.

    The network and the task are chosen for the data if neither an override nor a file names them.

    Args:
        overrides: Overrides, as on the command line.
        with_hydra: Whether to keep Hydra's own node.

    Raises:
        UserError: If the source of the data cannot be read to choose a network and a task.
        hydra.errors.HydraException: If an override is invalid; ``origins.worded`` converts it to a
            ``UserError``.
    """
    with hydra_started():
        return hydra_compose(ROOT_CONFIG, list(overrides), return_hydra_config=with_hydra)


def choose_for(overrides: Sequence[str]) -> Choice:
    """Choose the options that ``compose`` adds to overrides, some of which may have many values.

    Raises:
        UserError: If the source of the data cannot be read, or no row of ``choices.yaml`` fits.
        hydra.errors.HydraException: If an override is invalid.
    """
    with hydra_started() as hydra:
        loader = hydra.config_loader
        assert isinstance(loader, ChoosingLoader)
        return loader.choose(overrides)


@contextmanager
def hydra_started() -> Iterator[Hydra]:
    """Start Hydra for a block, with a loader that chooses the network and the task."""
    with initialize_config_dir(config_dir=config_dir(), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        hydra.config_loader = ChoosingLoader(hydra.config_loader.get_search_path())
        yield hydra


def without_hydra(config: Config) -> Config:
    """Return a copy of a config without Hydra's own node."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def freeze(config: Config) -> Config:
    """Return a copy of a config that does not depend on time, folder, environment or Hydra.

    All interpolations are evaluated except links between keys, so that an override reaches every
    place that uses the value. Paths of data become absolute, and each ``_target_`` literal.

    Raises:
        UserError: If a value is missing, cannot be evaluated, or is not plain.
    """
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = error.full_key
        raise UserError(f"{key} is missing. Expected a value: give {key}=VALUE.") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'config'}: {first_line(error)}.") from error
    links = OmegaConf.to_container(config, resolve=False)
    plain = _evaluated(links, resolved)
    follow_links(plain)
    frozen: Config = OmegaConf.create(plain)
    for key in path_keys(plain.get("data")):
        path = OmegaConf.select(frozen, key)
        if isinstance(path, str | int | float) and path:
            # pathlib raises if the user of ~user is unknown
            home = os.path.expanduser(str(path))  # noqa: PTH111
            OmegaConf.update(frozen, key, str(Path(home).resolve()))
    OmegaConf.set_struct(frozen, value=True)
    return frozen


def save(config: Config, path: Path) -> None:
    """Write a frozen config to a YAML file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_aside(path) as aside:
        aside.write_text(OmegaConf.to_yaml(config))


def load(path: Path, overrides: Sequence[str] = (), *, own: bool = False) -> Config:
    """Read a frozen config and apply overrides.

    Args:
        path: ``config.yaml`` of a run.
        overrides: Overrides, which may use resolvers; the file may not.
        own: Whether this command wrote the file, such as for the ranks that it starts. All other
            files are of unknown origin: see ``from_plain``.

    Raises:
        UserError: If the file is damaged, or an override cannot be applied.
    """
    return from_plain(read_plain(path), overrides, source=str(path), own=own)


def from_plain(
    config: dict[str, Any],
    overrides: Sequence[str] = (),
    *,
    source: str = "the config",
    own: bool = False,
) -> Config:
    """Convert plain containers, such as those in a checkpoint, to a config and apply overrides.

    A config of unknown origin cannot choose where caches are kept or where data are downloaded
    from; only overrides can.

    Args:
        config: Plain containers of any origin, in which only links are evaluated.
        overrides: Overrides, which may use resolvers.
        source: Origin of the config, for messages.
        own: Whether this command composed the config.

    Raises:
        UserError: If the config is not the frozen config of a run, or an override cannot be
            applied.
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
    """Return a copy of a plain config without the folder of caches and the URLs of downloads.

    They do not affect the result of a run, so each command chooses them anew.
    """
    data = config.get("data")
    if not isinstance(data, dict):
        return config
    kept = {key: value for key, value in data.items() if key != "mirrors"}
    return {**config, "data": kept | ({"cache_dir": None} if "cache_dir" in kept else {})}


def read_plain(path: Path) -> dict[str, Any]:
    """Read the file of a frozen config, without checking what is in it.

    Raises:
        UserError: If the file is missing or damaged.
    """
    fault = f"it is not the config of a run, or has more than {LARGEST:,} bytes"
    try:
        if path.stat().st_size <= LARGEST:
            plain = yaml.load(path.read_text(encoding="utf-8"), _FrozenLoader)  # noqa: S506  # a safe one
            if isinstance(plain, dict):
                return plain
    except yaml.MarkedYAMLError as error:
        fault = f"{error.problem}, {error.problem_mark}".replace("\n", " ")
    except (yaml.YAMLError, ValueError, OSError) as error:
        fault = first_line(error)
    raise UserError(
        f"{path} is damaged: {fault}. Start a new run; the weights of this one are in its "
        "checkpoints, which `leyden evaluate` and `predict` can read."
    )


class _FrozenLoader(yaml.SafeLoader):
    """Loader of what ``save`` writes: no aliases or tags, and limited nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node of the document."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it contains an alias, and runs write none")
        if self.depth > DEEPEST:
            raise yaml.YAMLError(f"it is nested more than {DEEPEST} levels deep")
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            raise yaml.YAMLError("it contains a tag, and runs write none")
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        is_text = node is None or node.tag == "tag:yaml.org,2002:str"
        if not is_text and isinstance(node, yaml.ScalarNode) and len(node.value) > LONGEST_NUMBER:
            raise yaml.YAMLError(f"it contains a number of more than {LONGEST_NUMBER} characters")
        return node


def to_plain(config: Config, *, resolve: bool = False) -> dict[str, Any]:
    """Convert a frozen config to plain containers, in which links may be resolved."""
    plain: dict[str, Any] = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]
    return follow_links(plain) if resolve else plain


def with_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """Apply overrides of values (``trainer.devices=2``) and options (``trainer=cpu``).

    Raises:
        UserError: If an override names an unknown key, or gives several values.
        hydra.errors.HydraException: If an override cannot be parsed, or names an unknown option.
    """
    changed = config.copy()
    options = groups()
    parsed = _parsed(overrides)
    # Options come first, in any order of the overrides: values may change their keys.
    for override in sorted(parsed, key=lambda override: override.key_or_group not in options):
        key, known = override.key_or_group, keys(changed)
        if override.is_sweep_override():
            raise UserError(
                f"The override {override.input_line} gives several values instead of one. "
                "Only `leyden train -m` can sweep, and only over new runs."
            )
        if key in options:
            _choose(changed, key, str(override.input_line))
        elif key in known or override.is_add():
            value = override.value()
            # A node replaces the old one, whose class may take other arguments.
            OmegaConf.update(changed, key, value, merge=not is_node(value), force_add=True)
        else:
            raise UserError(
                f"The override {override.input_line} names an unknown key.{hint_at(key, changed)}"
            )
    return freeze(changed)


def replaced_keys(overrides: Sequence[str]) -> list[str]:
    """List the dotted keys whose nodes are replaced, rather than changed, by overrides."""
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
    """Replace the option of a group."""
    if group in ACROSS_GROUPS:
        raise UserError(
            f"The override {override} sets keys of many groups, which an existing run already has. "
            f"Copy the keys that you need from conf/{group}/: KEY=VALUE."
        )
    key = group.replace("/", ".")
    option = OmegaConf.select(compose([override]), key)
    OmegaConf.update(config, key, option, merge=False, force_add=True)


def select(config: Config, key: str) -> Any:
    """Return the value of a dotted key, or ``None`` if it is missing."""
    return OmegaConf.select(config, key)


def keys(config: Config) -> list[str]:
    """List all dotted keys of a config, without following links."""
    return list(_dotted_keys(to_plain(config)))


def hint_at(key: str, config: Config) -> str:
    """Return a hint at the known keys closest to an unknown one, or at all keys beside it."""
    known = keys(config)
    names = key.split(".")
    parents = (".".join(names[:count]) for count in range(len(names) - 1, 0, -1))
    prefix = next((f"{parent}." for parent in parents if parent in known), "")
    name = key.removeprefix(prefix)
    inside = [each.removeprefix(prefix) for each in known if each.startswith(prefix)]
    inside += [] if prefix else groups()
    beside = [each for each in inside if not {".", "/"} & set(each)]
    return near(name, inside, prefix=prefix) or did_you_mean(name, beside, prefix=prefix)


def _dotted_keys(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, child in node.items():
        if not key.startswith("_"):
            yield f"{prefix}{key}"
        if isinstance(child, dict):
            yield from _dotted_keys(child, f"{prefix}{key}.")


def _evaluated(links: Any, resolved: Any, key: str = "") -> Any:
    """Replace all interpolations except links by their values."""
    if isinstance(links, dict):
        return {name: _evaluated(links[name], resolved[name], str(name)) for name in links}
    if isinstance(links, list):
        return [_evaluated(*pair, key) for pair in zip(links, resolved, strict=True)]
    is_kept = "${" in str(links) and holds_only_links(str(links)) and key != "_target_"
    return links if is_kept else _literal(resolved, key)


def _literal(value: Any, key: str) -> Any:
    """Refuse values that would be evaluated again, such as those of escaped interpolations."""
    if isinstance(value, dict):
        return {name: _literal(child, str(name)) for name, child in value.items()}
    if isinstance(value, list):
        return [_literal(child, key) for child in value]
    if isinstance(value, str) and "${" in value:
        raise UserError(
            f"{key}={value} contains ${{ after it is evaluated. Expected a value without it, "
            "because the config of a run is evaluated again later."
        )
    return value

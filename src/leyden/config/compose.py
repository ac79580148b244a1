"""Composing configs with Hydra, and freezing them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from leyden.errors import UserError, did_you_mean

Config = DictConfig
"""A config, for those who only pass it on and read its keys."""

ROOT_CONFIG = "train"

ACROSS_GROUPS = ("experiment", "debug")
"""Groups that hold keys of others."""

PATHS_OF_DATA = ("data.root", "data.path", "data.val_path", "data.test_path")
"""Keys that say where the data of a run are."""


def _conf_folder() -> Path:
    """Find ``conf/``: inside an installed wheel, else at the top of the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


CONF = _conf_folder()


def compose(overrides: Sequence[str], *, with_hydra: bool = False) -> Config:
    """Compose ``conf/train.yaml`` as the command line would.

    Args:
        overrides: as on the command line.
        with_hydra: keep Hydra's own node.
    """
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3"):
        return hydra_compose(ROOT_CONFIG, list(overrides), return_hydra_config=with_hydra)


def without_hydra(config: Config) -> Config:
    """Copy a config without Hydra's own node."""
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


def groups() -> dict[str, list[str]]:
    """List the config groups and their options."""
    found: dict[str, list[str]] = {}
    for file in sorted(CONF.rglob("*.yaml")):
        group = file.parent.relative_to(CONF).as_posix()
        if group != ".":
            found.setdefault(group, []).append(file.stem)
    return found


def freeze(config: Config) -> Config:
    """Copy a config so that it means the same at any time, in any folder and without Hydra.

    Environment, clock and Hydra's own values are evaluated, paths of data are made absolute. Links
    between the config's own keys stay, so that an override reaches every place that uses a value.

    Raises:
        UserError: a value is missing or can't be evaluated.
    """
    try:
        resolved = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        key = error.full_key
        raise UserError(f"{key} is missing. Expected a value: give {key}=VALUE.") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'config'}: {_first_line(error)}.") from error
    links = OmegaConf.to_container(config, resolve=False)
    frozen: Config = OmegaConf.create(_evaluated(links, resolved))
    for key in PATHS_OF_DATA:
        if path := OmegaConf.select(frozen, key):
            OmegaConf.update(frozen, key, str(Path(path).expanduser().resolve()))
    OmegaConf.set_struct(frozen, value=True)
    return frozen


def save(config: Config, path: Path) -> None:
    """Write a frozen config."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text(OmegaConf.to_yaml(config))
    unfinished.replace(path)


def load(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a frozen config and change it by overrides.

    Raises:
        UserError: the file is damaged, or an override can't be applied.
    """
    try:
        plain = yaml.safe_load(path.read_text())
    except yaml.YAMLError:
        plain = None
    if not isinstance(plain, dict):
        raise UserError(
            f"{path} is damaged: it does not hold the config of a run. Start a new run; what this "
            "one has learned is in its checkpoints, which `leyden evaluate` and `predict` take."
        )
    return from_plain(plain, overrides)


def from_plain(config: dict[str, Any], overrides: Sequence[str] = ()) -> Config:
    """Make a config of plain containers, as a checkpoint carries it, and change it."""
    return with_overrides(OmegaConf.create(config), overrides)


def to_plain(config: Config, *, resolve: bool = False) -> dict[str, Any]:
    """Convert a config to plain containers."""
    return OmegaConf.to_container(config, resolve=resolve)  # type: ignore[return-value]


def with_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """Change a frozen config by values (``trainer.devices=2``) or whole options (``trainer=cpu``).

    Raises:
        UserError: an override can't be parsed or names an unknown key.
    """
    changed = config.copy()
    options = groups()
    parsed = OverridesParser.create().parse_overrides(list(overrides))
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
            OmegaConf.update(changed, key, override.value(), force_add=True)
        else:
            raise UserError(
                f"The override {override.input_line} names an unknown key."
                f"{did_you_mean(key, known)}"
            )
    return freeze(changed)


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


def keys(config: Config) -> list[str]:
    """List every dotted key of a config, without following links."""
    return list(_dotted_keys(to_plain(config)))


def _dotted_keys(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, child in node.items():
        if not key.startswith("_"):
            yield f"{prefix}{key}"
        if isinstance(child, dict):
            yield from _dotted_keys(child, f"{prefix}{key}.")


def _evaluated(links: Any, resolved: Any) -> Any:
    """Replace interpolations that call a resolver by their values; leave links alone."""
    if isinstance(links, dict):
        return {key: _evaluated(child, resolved[key]) for key, child in links.items()}
    if isinstance(links, list):
        return [_evaluated(*pair) for pair in zip(links, resolved, strict=True)]
    calls_resolver = isinstance(links, str) and "${" in links and ":" in links
    return resolved if calls_resolver else links


def _first_line(error: Exception) -> str:
    return str(error).split("\n", maxsplit=1)[0]

"""Tests of all files in Leyden's conf/."""

import functools
import inspect
from typing import Any

import pytest
import yaml
from hydra.utils import get_object
from omegaconf import OmegaConf

import shipped
from leyden.config.check import check
from leyden.config.compose import CONF, Config, compose, freeze, keys, to_plain, with_overrides
from leyden.config.fitting import networks_for
from leyden.config.nodes import target_nodes
from leyden.config.options import ACROSS_GROUPS

OPTIONS = [f"{group}={option}" for group, options in shipped.OPTIONS.items() for option in options]
SHARED = [path.relative_to(CONF).as_posix() for path in sorted(CONF.rglob("_*.yaml"))]
FILES = [
    "train.yaml",
    "choices.yaml",
    *(f"{option.replace('=', '/')}.yaml" for option in OPTIONS),
    *SHARED,
]
WITHIN = {g: options for g, options in shipped.OPTIONS.items() if g not in ACROSS_GROUPS}


def own_keys(option: str) -> dict[str, Any]:
    return yaml.safe_load((CONF / f"{option.replace('=', '/')}.yaml").read_text()) or {}


OF_ONE_FILE = [
    option
    for option in OPTIONS
    if option.partition("=")[0] in WITHIN
    and "defaults" not in own_keys(option)
    and option != "task/mix=none"
]
SWAPS = [
    (f"{group}={old}", f"{group}={new}")
    for group, options in WITHIN.items()
    for old, new in zip(options, [*options[1:], options[0]], strict=True)
    if old != new
]


@functools.cache
def missing(option: str) -> list[str]:
    """Return overrides of the keys for which an option has no default."""
    return [f"{key}=given" for key in sorted(OmegaConf.missing_keys(composed(option)))]


@functools.cache
def composed(option: str) -> Config:
    """Compose the default config with one option; ``""`` leaves it as it is."""
    return compose([option] if option else [])


@functools.cache
def frozen(option: str) -> Config:
    """Freeze a composed config, which tests share and must not change."""
    given = [*missing(option), *data_for(option)]
    return freeze(compose([option, *given]) if given else composed(option))


def data_for(option: str) -> list[str]:
    """Return an override that chooses data for a network that does not take the digits."""
    group, _, network = option.partition("=")
    if group != "network" or network in networks_for(to_plain(composed(""))["data"]):
        return []
    found = (data for data in shipped.OPTIONS["data"] if network in networks_for(node_of(data)))
    return [f"data={next(found)}"]


@functools.cache
def node_of(data: str) -> dict[str, Any]:
    return to_plain(composed(f"data={data}"))["data"]


def test_all_files_are_found() -> None:
    assert len(FILES) > 30
    assert {"data", "network", "task", "task/mix", "experiment", "debug"} < set(shipped.OPTIONS)


@pytest.mark.parametrize("file", FILES)
def test_the_first_line_is_a_sentence(file: str) -> None:
    lines = (CONF / file).read_text().splitlines()
    if lines[0].startswith("# @package "):
        lines = lines[1:]

    assert lines[0].startswith("# ")
    assert lines[0].endswith((".", "?"))
    assert len(lines[0].split()) >= 5


@pytest.mark.parametrize("file", FILES)
def test_files_are_short(file: str) -> None:
    lines = (CONF / file).read_text().splitlines()

    assert len(lines) <= 50
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize("option", ["", *OPTIONS])
def test_option_passes_the_check(option: str) -> None:
    check(frozen(option))


@pytest.mark.parametrize("option", ["", *OPTIONS])
def test_targets_accept_their_keys_when_imported(option: str) -> None:
    config = frozen(option)

    nodes = list(target_nodes(to_plain(config), to_plain(config, resolve=True)))

    assert len(nodes) > 8
    for where, _, node in nodes:
        target = get_object(node["_target_"])
        given = {key for key in node if key not in {"_target_", "_partial_"}}
        assert given <= accepted(target), where
        bind = inspect.signature(target).bind_partial
        if not node.get("_partial_"):
            bind = inspect.signature(target).bind
        bind(**{key: node[key] for key in given})


def accepted(target: Any) -> set[str]:
    """Return the arguments of a function, or of a constructor and those it passes options to."""
    constructors = [target]
    if inspect.isclass(target):
        constructors = [c.__init__ for c in target.__mro__ if "__init__" in vars(c)]
    names: set[str] = set()
    for constructor in constructors:
        parameters = inspect.signature(constructor).parameters.values()
        names |= {p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD}
        if all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters):
            break
    return names


@pytest.mark.parametrize(("old", "new"), SWAPS)
def test_swapping_leaves_no_key_behind(old: str, new: str) -> None:
    swapped = with_overrides(frozen(old), [new, *missing(new)])
    for group in ("data", "network", "task", "loss"):  # composition chooses those that fit
        if not new.startswith(f"{group}="):
            swapped[group] = frozen(new)[group]

    assert set(keys(swapped)) == set(keys(frozen(new)))
    assert swapped == frozen(new)


@pytest.mark.parametrize("option", OF_ONE_FILE)
def test_options_have_only_the_keys_of_their_file(option: str) -> None:
    node = OmegaConf.select(frozen(option), option.partition("=")[0].replace("/", "."))

    assert set(node) == set(own_keys(option))


@pytest.mark.parametrize("option", [o for o in OPTIONS if o.startswith("data=")])
def test_every_setting_of_cleaning_is_a_key(option: str) -> None:
    cleaning = to_plain(frozen(option))["data"]["cleaning"]

    settings = inspect.signature(get_object(cleaning["_target_"])).parameters
    assert set(cleaning) - {"_target_"} == set(settings)  # messages suggest them as overrides


@pytest.mark.parametrize("group", ["callbacks", "logger"])
@pytest.mark.parametrize("option", ["", *OPTIONS])
def test_callbacks_and_loggers_are_named(option: str, group: str) -> None:
    nodes = to_plain(frozen(option))[group]

    assert isinstance(nodes, dict)
    for name, node in nodes.items():
        assert name.isidentifier()
        assert node is None or "_target_" in node


def test_only_experiments_and_debugging_set_keys_of_other_groups() -> None:
    crossing = {
        file.partition("/")[0]
        for file in FILES
        if (CONF / file).read_text().startswith("# @package _global_")
    }

    assert crossing == set(ACROSS_GROUPS)

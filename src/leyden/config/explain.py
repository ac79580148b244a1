"""What a key of a config is: its value, what has set it, its type, its meaning, its options."""

import ast
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import Parameter
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from leyden.config.compose import SCALARS, Config, compose, hint_at, to_plain, without_hydra
from leyden.config.fitting import networks_for
from leyden.config.nodes import Node, is_node, value_at
from leyden.config.options import ACROSS_GROUPS, config_files, groups
from leyden.config.setters import Setter, find_choosers, find_setters
from leyden.config.static.annotations import describe, literal
from leyden.config.static.docstrings import parameters_of, summary_of
from leyden.config.static.targets import HYDRA_KEYS, resolve
from leyden.config.yaml_lines import as_flow, first_comment
from leyden.errors import UserError

_LINK = re.compile(r"\$\{([\w-]+(?:\.[\w-]+)*)\}")

_WORDS = {str: "a string", int: "an int", float: "a float", type(None): "null"}


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of a config group.

    Attributes:
        name: Its name.
        what: The comment at the top of its file.
        is_chosen: Whether the config has it.
        fits: Whether it takes the sizes that the data give; ``None`` where that does not matter.
    """

    name: str
    what: str
    is_chosen: bool
    fits: bool | None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What is known about a key.

    Attributes:
        key: Dotted key, or a group such as ``task/mix``.
        value: Its value as YAML on one line, or the chosen option; ``???`` if it is missing, and
            ``None`` if the config does not have the key.
        setters: What sets the key, and the keys that it is a link to, or what chooses the option of
            the group; the last setter of each key wins.
        target: Class or function of the node, with the first paragraph of its docstring.
        kind: The values that it takes, in words; an empty string if unknown.
        default: Its value if the config does not set it; an empty string if it is required.
        meaning: What it is, by the docstring of the class that takes it.
        keys: Keys below it.
        options: Options of the group.
    """

    key: str
    value: str | None
    setters: Mapping[str, Sequence[Setter]]
    target: tuple[str, str] | None = None
    kind: str = ""
    default: str = ""
    meaning: str = ""
    keys: Sequence[str] = ()
    options: Sequence[Option] = ()


def explain(key: str, overrides: Sequence[str], *, swept: Sequence[str] = ()) -> Explanation:
    """Explain a key of the config that overrides compose.

    Args:
        key: Dotted key or group; both ``task.mix`` and ``task/mix`` name that group.
        overrides: Overrides without shorthands.
        swept: Those that have several values, of which each job of a sweep has one.

    Raises:
        UserError: If neither the config nor a class in it has the key.
        hydra.errors.HydraException: If an override is invalid; see ``origins.convert_errors``.
    """
    composed = compose(overrides, with_hydra=True)
    config = composed if key.startswith("hydra.") else without_hydra(composed)
    words = [*overrides, *swept]
    if (group := key.replace(".", "/")) in groups():
        is_swept = any(word.startswith(f"{group}=") for word in swept)
        choice = None if is_swept else composed.hydra.runtime.choices.get(group)
        return _explain_group(group, config, find_choosers(group, words), choice)
    found = _explain_key(key, config, lambda key: find_setters(key, words))
    last = [*found.setters.values()][-1][-1:]
    values = [each.text.partition("=")[2] for each in last if each.text in swept]
    return replace(found, value=values[0]) if values else found


def explain_frozen(
    key: str, config: Config, find_setters: Callable[[str], Sequence[Setter]]
) -> Explanation:
    """Explain a key of a frozen config.

    Args:
        key: Dotted key.
        config: Config of a run, with overrides.
        find_setters: Returns what sets a dotted key.

    Raises:
        UserError: If neither the config nor a class in it has the key.
    """
    return _explain_key(key.replace("/", "."), config, find_setters)


def _explain_group(
    group: str, config: Config, choosers: Sequence[Setter], choice: str | None
) -> Explanation:
    # Hydra records no choice that is a list.
    chosen = choice or (choosers[-1].text.rpartition("=")[2] if choosers else "")
    files, names = config_files(), re.findall(r"\w+", chosen)
    plain = to_plain(config)
    node = {} if group in ACROSS_GROUPS else value_at(plain, group.split("/"), {})
    fitting = networks_for(plain["data"]) if group == "network" else None
    return Explanation(
        key=group,
        value=chosen or "null",
        setters={group: choosers},
        target=_target(node),
        keys=_own_keys(node),
        options=[
            Option(
                name=name,
                what=first_comment(files[f"{group}/{name}"]),
                is_chosen=name in names,
                fits=None if fitting is None else name in fitting,
            )
            for name in groups()[group]
        ],
    )


def _explain_key(
    key: str, config: Config, find_setters: Callable[[str], Sequence[Setter]]
) -> Explanation:
    plain = to_plain(config)
    setters = {each: find_setters(each) for each in _follow(key, plain)}
    end = [*setters][-1]
    value = value_at(plain, end.split("."), default=...)
    parameter, meaning = _parameter(plain, end.split("."))
    if value is ... and parameter is None and not setters[end]:
        raise UserError(f"The key {key} does not exist in this config.{hint_at(key, config)}")
    return Explanation(
        key=key,
        value=None if value is ... else _value(config, end, value),
        setters=setters,
        target=_target(value),
        kind=_kind(end, parameter),
        default=_default(parameter),
        meaning=meaning,
        keys=_own_keys(value),
    )


def _follow(key: str, plain: Node) -> list[str]:
    """Return a key, and those that it leads to by links of itself or of a node around it."""
    keys = [key]
    while len(keys) <= len(set(keys)):
        path = keys[-1].split(".")
        for depth in range(1, len(path) + 1):
            value = value_at(plain, path[:depth])
            link = _LINK.fullmatch(value) if isinstance(value, str) else None
            if link:
                keys.append(".".join([link[1], *path[depth:]]))
                break
        else:
            return keys
    return keys[:-1]


def _value(config: Config, key: str, raw: Any) -> str:
    """Return a value as YAML; as it is written if it depends on what is missing or on Hydra."""
    try:
        value = OmegaConf.select(config, key)
    except OmegaConfBaseException:
        return as_flow(raw)
    if OmegaConf.is_config(value):
        return as_flow(OmegaConf.to_container(value, resolve=False))
    return "???" if raw == "???" else as_flow(value)


def _parameter(plain: Node, path: Sequence[str]) -> tuple[Parameter | None, str]:
    """Find the parameter that takes a key, and what its docstring says."""
    node = value_at(plain, path[:-1])
    if not is_node(node) or path[-1] in HYDRA_KEYS:
        return None, ""
    target = resolve(str(node["_target_"]))
    meaning = parameters_of(target.definition).get(path[-1], "")
    return target.signature.parameters.get(path[-1]), meaning


def _target(node: Any) -> tuple[str, str] | None:
    if not is_node(node):
        return None
    target = str(node["_target_"])
    return target, summary_of(resolve(target).definition)


def _own_keys(node: Any) -> list[str]:
    return [key for key in node if key not in HYDRA_KEYS] if isinstance(node, Mapping) else []


def _kind(key: str, parameter: Parameter | None) -> str:
    if key in SCALARS:
        return " or ".join(_WORDS[kind] for kind in SCALARS[key])
    if parameter is None or parameter.annotation is Parameter.empty:
        return ""
    return describe(parameter.annotation)


def _default(parameter: Parameter | None) -> str:
    default = parameter.default if parameter else Parameter.empty
    if not isinstance(default, ast.expr):
        return ""
    value = literal(default, default=...)
    return ast.unparse(default) if value is ... else as_flow(_listed(value))


def _listed(value: Any) -> Any:
    """Return a default with lists in place of tuples and sets, which YAML writes with tags."""
    return list(value) if isinstance(value, tuple | set | frozenset) else value

"""JSON schemas of the files in ``conf/``, by which editors complete, explain and check them.

They are derived from the signatures and docstrings of the targets that the files name, without
importing them. A link such as ``${seed}`` is accepted everywhere.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import Any, get_args

import yaml

from leyden.config.choosing import CHOSEN, CONDITIONS, TABLE
from leyden.config.compose import SCALARS
from leyden.config.options import ACROSS_GROUPS, ROOT_CONFIG, config_files, groups, root_keys
from leyden.config.static.annotations import (
    MAPPINGS,
    OBJECTS,
    PATHS,
    SEQUENCES,
    TUPLES,
    accepts,
    arguments_of,
    literal,
    members,
    name_of,
)
from leyden.config.static.docstrings import parameters_of, summary_of
from leyden.config.static.targets import resolve, trusted_names
from leyden.config.yaml_lines import find_entry
from leyden.errors import UserError
from leyden.schema import TargetKind

Schema = dict[str, Any]

NODES = "nodes.json"
"""File of the schemas of all targets, to which those of the groups refer."""

CHOICES = TABLE.removesuffix(".yaml")
"""Name of the table by which networks and tasks are chosen."""

COLLECTIONS = ("callbacks", "logger")
"""Groups whose files hold named nodes."""

DRAFT = "http://json-schema.org/draft-07/schema#"
"""Version of JSON schema that language servers of YAML support."""

LINK: Schema = {"type": "string", "pattern": r"\$\{|^\?\?\?$"}
"""An interpolation, or a value that is given later."""

_TYPES = {"None": "null", "bool": "boolean", "int": "integer", "float": "number", "str": "string"}

_SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}

_HYDRA_KEYS: Mapping[str, Schema] = {
    "_target_": {"$ref": "#/$defs/target"},
    "_partial_": {"type": "boolean", "description": "Whether the run adds further arguments."},
    "_recursive_": {"type": "boolean"},
    "_convert_": {"enum": ["none", "partial", "object", "all"]},
    "_args_": {"type": "array"},
    "defaults": {"type": "array"},
}


def make_schemas() -> dict[str, Schema]:
    """Make the schemas of all files by name: ``nodes.json``, ``train.json``, one for each group."""
    known = _known_targets()
    schemas = {NODES: _nodes(known)}
    for group in groups():
        if group in ACROSS_GROUPS:
            schema = _across()
        else:
            schema = _collection(group) if group in COLLECTIONS else _group(group, known)
        schemas[file_of(group)] = schema
    return schemas | {file_of(ROOT_CONFIG): _across(), file_of(CHOICES): _choices()}


def file_of(group: str) -> str:
    """Return the name of the schema of a group.

    >>> file_of("task/mix")
    'task-mix.json'
    """
    return f"{group.replace('/', '-')}.json"


def write_schemas(folder: Path) -> dict[str, str]:
    """Write all schemas into a folder.

    Returns:
        For each schema, the files that it describes: a path below ``conf/`` with wildcards.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in make_schemas().items():
        (folder / name).write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
    files = {file_of(group): f"{group}/*.yaml" for group in groups()}
    return files | {file_of(name): f"{name}.yaml" for name in (ROOT_CONFIG, CHOICES)}


def _nodes(known: Mapping[str, Schema]) -> Schema:
    """Make the schemas of all targets, and that of a node with any of them."""
    choices = [
        {
            "if": {"required": ["_target_"], "properties": {"_target_": {"const": target}}},
            "then": {"$ref": f"#/$defs/{target}"},
        }
        for target in known
    ]
    names = "|".join(map(re.escape, trusted_names()))
    return {
        "$schema": DRAFT,
        "$defs": {
            "link": LINK,
            "target": {"anyOf": [{"enum": [*known]}, {"pattern": rf"^({names})(\.|$)"}]},
            "any": {"properties": {"_target_": {"$ref": "#/$defs/target"}}, "allOf": choices},
            "node": {"type": "object", "allOf": [{"$ref": "#/$defs/any"}]},
            **known,
        },
    }


def _known_targets() -> dict[str, Schema]:
    """Make the schema of each target that a file names, without those that cannot be found."""
    names = sorted({name for file in config_files().values() for name in _targets(_read(file))})
    found = {}
    for name in names:
        try:
            found[name] = _of_target(name)
        except UserError:
            continue
    return found


def _read(file: Path) -> Any:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
        for child in value.values():
            yield from _targets(child)
    elif isinstance(value, list):
        for child in value:
            yield from _targets(child)


def _of_target(name: str) -> Schema:
    target = resolve(name)
    described, parameters = parameters_of(target.definition), target.signature.parameters.values()
    is_open = any(each.kind is Parameter.VAR_KEYWORD for each in parameters)
    named = (
        p for p in parameters if p.kind not in (Parameter.VAR_KEYWORD, Parameter.VAR_POSITIONAL)
    )
    return {
        "description": summary_of(target.definition),
        "properties": {
            **{each.name: _of_parameter(each, described.get(each.name, "")) for each in named},
            **_HYDRA_KEYS,
        },
        "additionalProperties": is_open,
    }


def _of_parameter(parameter: Parameter, meaning: str) -> Schema:
    annotation = None if parameter.annotation is Parameter.empty else parameter.annotation
    schema = _of_annotation(annotation)
    if isinstance(parameter.default, ast.expr):
        default = literal(parameter.default, default=...)
        # Old code has `size: int = None`: the default is accepted whatever the annotation.
        if default is None and not accepts(annotation, None):
            schema = {"anyOf": [*schema["anyOf"], {"type": "null"}]}
        if default is None or isinstance(default, bool | int | float | str):
            schema = {**schema, "default": default}
    return {**schema, "description": meaning} if meaning else schema


def _of_annotation(annotation: ast.expr | None) -> Schema:
    """Make the schema of the values that ``annotations.accepts`` accepts, and of links."""
    if annotation is None:
        return {"anyOf": [_reference("any")]}
    accepted = [schema for member in members(annotation) for schema in _of_member(member)]
    return {"anyOf": [*accepted, _reference("link")]}


def _of_member(annotation: ast.expr) -> list[Schema]:
    name, arguments = name_of(annotation), arguments_of(annotation)
    if name in _TYPES:
        return [{"type": _TYPES[name]}]
    if name in PATHS:
        return [{"type": "string"}, _reference("node")]
    if name in OBJECTS:
        return [_reference("node")]
    if name == "Literal":
        return [{"enum": [literal(each, default=None) for each in arguments]}]
    if name in SEQUENCES | TUPLES:
        return [{"type": "array", **_items(arguments, is_tuple=name in TUPLES)}, _reference("node")]
    if name in MAPPINGS:
        values = _of_annotation(arguments[1]) if len(arguments) == 2 else {}
        return [{"type": "object", "additionalProperties": values}]
    return [_reference("any")]


def _items(arguments: Sequence[ast.expr], *, is_tuple: bool) -> Schema:
    if not is_tuple or not arguments or ast.unparse(arguments[-1]) == "...":
        return {"items": _of_annotation(arguments[0])} if arguments else {}
    length = len(arguments)
    return {"items": [*map(_of_annotation, arguments)], "minItems": length, "maxItems": length}


def _reference(name: str, *, file: str = "") -> Schema:
    return {"$ref": f"{file}#/$defs/{name}"}


def _group(group: str, known: Mapping[str, Schema]) -> Schema:
    """Make the schema of the options of a group, and of files that they are based on."""
    return _file(
        f"An option of {group}.",
        {
            "if": {"type": "object", "required": ["_target_"]},
            "then": _reference("node", file=NODES),
            "else": _partial(group, known),
        },
        group,
    )


def _partial(group: str, known: Mapping[str, Schema]) -> Schema:
    """Make the schema of a node of a group without its target: keys of any option."""
    files = config_files()
    options = [_read(files[f"{group}/{name}"]) or {} for name in _files_in(group)]
    targets = sorted({str(each["_target_"]) for each in options if "_target_" in each} & {*known})
    properties: Schema = {}
    for target in targets:
        for name in known[target]["properties"]:
            reference = {"$ref": f"{NODES}#/$defs/{target}/properties/{name}"}
            properties.setdefault(name, {"anyOf": []})["anyOf"].append(reference)
    properties |= {key: {} for key in _HYDRA_KEYS}
    parent, _, name = group.rpartition("/")
    if parent:
        properties[name] = {}  # as in an option with `# @package`, which leaves the node out
    is_open = any(known[target]["additionalProperties"] for target in targets)
    return {"properties": properties, "additionalProperties": is_open}


def _choices() -> Schema:
    """Make the schema of the table by which networks and tasks are chosen."""
    known = {"target": {"enum": [*get_args(TargetKind)]}, "max_side": {"type": "integer"}}
    return {
        "$schema": DRAFT,
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": {
                **{group: {"enum": groups().get(group, [])} for group in CHOSEN},
                **{key: known.get(key, {"type": "string"}) for key in CONDITIONS},
            },
            "required": [*CHOSEN],
            "additionalProperties": False,
        },
    }


def _files_in(group: str) -> list[str]:
    """List the options of a group, and the files that stand for or are shared by some of them."""
    names = (name.rpartition("/") for name in config_files())
    return [name for folder, _, name in names if folder == group]


def _collection(group: str) -> Schema:
    node = {"anyOf": [_reference("node", file=NODES), {"type": "null"}]}
    return _file(f"Named nodes of {group}.", {"additionalProperties": node}, group)


def _across() -> Schema:
    """Make the schema of files that set keys of the whole config."""
    own: Schema = {key: _root_key(key) for key in sorted(root_keys())}
    own |= {key: {"$ref": file_of(key)} for key in own if key in groups()}
    properties = {**own, "hydra": {"type": "object"}}
    return _file("Keys of a run.", {"properties": properties, "additionalProperties": False}, "")


def _root_key(key: str) -> Schema:
    entry = find_entry(config_files()[ROOT_CONFIG], [key])
    value = entry.value if entry else None
    kinds = SCALARS.get(key) or ((bool,) if isinstance(value, bool) else ())
    types = [{"type": _SCALARS[kind]} for kind in kinds]
    schema = {"anyOf": [*types, LINK]} if types else {}
    return {**schema, "description": entry.comment} if entry and entry.comment else schema


def _file(what: str, content: Schema, group: str) -> Schema:
    """Make the schema of a file with a defaults list; a file may have comments alone."""
    properties = {**content.get("properties", {}), "defaults": _defaults(group)}
    return {
        "$schema": DRAFT,
        "description": what,
        "type": ["object", "null"],
        **content,
        "properties": properties,
    }


def _defaults(group: str) -> Schema:
    """Make the schema of the defaults list of a file in a group."""
    choices: Schema = {r"hydra/": {}}
    for name in groups():
        option = {"enum": [*_files_in(name), None]}
        several = {"type": "array", "items": {"enum": _files_in(name)}}
        written = rf"(/?{name}|{name.rpartition('/')[2]})" if "/" in name else rf"/?{name}"
        choices[rf"^(optional |override )*{written}(@.+)?$"] = {"anyOf": [option, several]}
    return {
        "type": "array",
        "items": {
            "anyOf": [
                {"enum": [*_files_in(group), "_self_"]} if group else {"type": "string"},
                {"type": "object", "patternProperties": choices, "additionalProperties": False},
            ]
        },
    }

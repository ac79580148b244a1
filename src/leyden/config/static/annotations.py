"""Annotations of parameters as syntax trees, and the config values that they accept."""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import Any

from leyden.config.nodes import is_node

# Names of annotations, by the values that they accept.
SEQUENCES = {"list", "List", "Sequence", "Iterable", "Collection", "set", "Set", "frozenset"}
TUPLES = {"tuple", "Tuple"}
MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict"}
PATHS = {"Path", "PurePath", "PathLike", "DataPath"}
OBJECTS = {"Callable", "type", "Type", "Tensor", "Parameter", "Module", "Optimizer", "LRScheduler"}
OBJECTS |= {"Dataset", "DataLoader", "LightningModule", "LightningDataModule"}
_WORDS = {"None": "null", "bool": "true or false", "int": "an int", "float": "a float"}
_WORDS |= {"str": "a string"} | dict.fromkeys(PATHS, "a path")


def mismatch(parameter: Parameter, value: Any) -> str:
    """Return why a parameter does not accept a config value; an empty string if it does."""
    annotation, default = parameter.annotation, parameter.default
    if annotation is Parameter.empty or accepts(annotation, value):
        return ""
    # Old code has `size: int = None`: the default is accepted whatever the annotation.
    if isinstance(default, ast.expr) and _is_literal([default], value):
        return ""
    shown = repr(value) if len(repr(value)) < 80 else f"{repr(value)[:76]}..."
    return f"expected {describe(annotation)}, got {shown} ({type(value).__name__})"


def accepts(annotation: ast.expr | None, value: Any) -> bool:
    """Whether an annotated parameter accepts a value of a resolved config.

    Lists are accepted for sequences, tuples and sets, strings for paths, and nodes with a
    ``_target_`` for objects. Unknown names, such as aliases, accept everything.
    """
    return annotation is None or any(_fits(member, value) for member in members(annotation))


def describe(annotation: ast.expr) -> str:
    """Describe what a parameter accepts, such as ``"a float or null"``."""
    *others, last = dict.fromkeys(_in_words(member) for member in members(annotation))
    return f"{', '.join(others)} or {last}" if others else last


def name_of(expression: ast.expr) -> str:
    """Return the last component of a name, called and subscripted ones included, or ``""``."""
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=inner) | ast.Call(func=inner):
            return name_of(inner)
        case ast.Constant(value=None):
            return "None"
    return ""


def members(annotation: ast.expr) -> Iterator[ast.expr]:
    """Yield the alternatives of a union, or the annotation itself; quotes are parsed."""
    name = name_of(annotation)
    match annotation:
        case ast.Constant(value=str(text)):
            yield from members(_parsed(text))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from (*members(left), *members(right))
        case ast.Subscript() if name in {"Union", "Optional"}:
            for argument in arguments_of(annotation):
                yield from members(argument)
            if name == "Optional":
                yield ast.Constant(None)
        case _:
            yield annotation


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return ast.Name(text)


def arguments_of(annotation: ast.expr) -> list[ast.expr]:
    """Return what is between the brackets of an annotation; nothing if there are none."""
    if not isinstance(annotation, ast.Subscript):
        return []
    inner = annotation.slice
    return inner.elts if isinstance(inner, ast.Tuple) else [inner]


def _fits(annotation: ast.expr, value: Any) -> bool:
    check = _CHECKS.get(name_of(annotation))
    return check is None or check(arguments_of(annotation), value)


def _is_literal(choices: Sequence[ast.expr], value: Any) -> bool:
    known = (literal(choice, default=...) for choice in choices)
    return any(type(value) is type(choice) and value == choice for choice in known)


def _is_sequence(arguments: Sequence[ast.expr], value: Any) -> bool:
    if not isinstance(value, (list, tuple)):
        return is_node(value)
    return all(accepts(element, item) for element in arguments[:1] for item in value)


def _is_tuple(arguments: Sequence[ast.expr], value: Any) -> bool:
    open_ended = not arguments or ast.unparse(arguments[-1]) == "..."
    if open_ended or not isinstance(value, (list, tuple)):
        return _is_sequence(arguments, value)
    return len(arguments) == len(value) and all(map(accepts, arguments, value))


def _is_mapping(arguments: Sequence[ast.expr], value: Any) -> bool:
    if not isinstance(value, Mapping) or is_node(value) or len(arguments) != 2:
        return isinstance(value, Mapping)
    key, item = arguments
    return all(accepts(key, name) and accepts(item, value[name]) for name in value)


def _is_object(_: Sequence[ast.expr], value: Any) -> bool:
    plain = value is None or isinstance(value, (bool, int, float, str, list, tuple, Mapping))
    return is_node(value) or not plain


def _is_number(*types: type) -> Callable[[Sequence[ast.expr], Any], bool]:
    # bool is a subclass of int, but true is not a number in a config.
    return lambda _, value: isinstance(value, types) and not isinstance(value, bool)


_CHECKS: dict[str, Callable[[Sequence[ast.expr], Any], bool]] = {
    "None": lambda _, value: value is None,
    "bool": lambda _, value: isinstance(value, bool),
    "int": _is_number(int),
    "float": _is_number(int, float),
    "str": lambda _, value: isinstance(value, str),
    "Literal": _is_literal,
    **dict.fromkeys(SEQUENCES, _is_sequence),
    **dict.fromkeys(TUPLES, _is_tuple),
    **dict.fromkeys(MAPPINGS, _is_mapping),
    **dict.fromkeys(PATHS, lambda _, value: isinstance(value, (str, Path)) or is_node(value)),
    **dict.fromkeys(OBJECTS, _is_object),
}


def _in_words(annotation: ast.expr) -> str:
    name, source = name_of(annotation), ast.unparse(annotation)
    if name == "Literal":
        return f"one of {', '.join(ast.unparse(choice) for choice in arguments_of(annotation))}"
    if name in OBJECTS:
        return f"a node with a _target_ ({source})"
    for names, word in ((SEQUENCES | TUPLES, "a list"), (MAPPINGS, "a mapping")):
        if name in names:
            return f"{word} ({source})" if arguments_of(annotation) else word
    return _WORDS.get(name, source)


def literal(expression: ast.expr | None, *, default: Any) -> Any:
    """Evaluate an expression of constants; return the default for others and for ``None``."""
    try:
        return default if expression is None else ast.literal_eval(expression)
    except ValueError:
        return default

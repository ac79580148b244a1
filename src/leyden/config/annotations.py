"""What the source of a constructor says of its parameters, and which config values fit them."""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import Parameter, Signature
from itertools import zip_longest
from pathlib import Path
from typing import Any

Function = ast.FunctionDef | ast.AsyncFunctionDef

_SEQUENCES = {"list", "List", "Sequence", "Iterable", "Collection", "set", "Set", "frozenset"}
_TUPLES = {"tuple", "Tuple"}
_MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict"}
_PATHS = {"Path", "PurePath", "PathLike"}
_OBJECTS = {"Callable", "type", "Type", "Tensor", "Parameter", "Module", "Optimizer", "LRScheduler"}
_OBJECTS |= {"Dataset", "DataLoader", "LightningModule", "LightningDataModule"}
_WORDS = {"None": "null", "bool": "true or false", "int": "an int", "float": "a float"}
_WORDS |= {"str": "a string"} | dict.fromkeys(_PATHS, "a path")


def mismatch(parameter: Parameter, value: Any) -> str:
    """Word why a config value is of the wrong type for a parameter; ``""`` where it is not."""
    annotation, default = parameter.annotation, parameter.default
    if annotation is Parameter.empty or accepts(annotation, value):
        return ""
    # Old code writes `size: int = None`: what is the default is right, whatever the annotation.
    if isinstance(default, ast.expr) and _is_literal([default], value):
        return ""
    shown = repr(value) if len(repr(value)) < 80 else f"{repr(value)[:76]}..."
    return f"expected {describe(annotation)}, got {shown} ({type(value).__name__})"


def accepts(annotation: ast.expr | None, value: Any) -> bool:
    """Tell whether a value of a resolved config may stand for an annotated parameter.

    Lists stand for any sequence, tuple or set, and strings for paths, because configs have nothing
    nearer. A nested node with a ``_target_`` stands for the object that it will become. Names that
    the annotation leaves unexplained, aliases among them, accept everything.
    """
    return annotation is None or any(_fits(member, value) for member in _members(annotation))


def describe(annotation: ast.expr) -> str:
    """Word what a parameter expects: ``"a float or null"``, ``"one of 'min', 'max'"``."""
    *others, last = dict.fromkeys(_in_words(member) for member in _members(annotation))
    return f"{', '.join(others)} or {last}" if others else last


def constructor_of(definition: ast.ClassDef, lineage: Iterable[ast.ClassDef]) -> Signature | None:
    """Read the signature that a class body gives, by method or by fields, or None if it gives none.

    Args:
        definition: The class.
        lineage: The class and its bases, nearest first; read for the fields of a dataclass only.
    """
    lines = flat(definition.body)
    methods = {line.name: line for line in lines if isinstance(line, Function) and is_real(line)}
    # Python calls `__new__` first, and so does `inspect` look there first.
    method = methods.get("__new__") or methods.get("__init__")
    if method:
        return signature_of(method, method=True)
    if any(name_of(base) == "NamedTuple" for base in definition.bases):
        return Signature(list(_fields(definition, kw_only=False).values()))
    if _kw_only(definition) is None:
        return None
    fields: dict[str, Parameter] = {}
    for base in reversed(list(lineage)):
        kw_only = _kw_only(base)
        fields |= {} if kw_only is None else _fields(base, kw_only=kw_only)
    return Signature(sorted(fields.values(), key=lambda field: field.kind))


def signature_of(function: Function, *, method: bool) -> Signature:
    """Read a signature, of which annotations and defaults are the ``ast.expr`` of the source.

    Args:
        function: The definition.
        method: Leave its first parameter out, which is ``self`` or ``cls``.
    """
    names = function.args
    positional: list[tuple[ast.arg, Any]]
    positional = [(arg, Parameter.POSITIONAL_ONLY) for arg in names.posonlyargs]
    positional += [(arg, Parameter.POSITIONAL_OR_KEYWORD) for arg in names.args]
    # Defaults belong to the last parameters, so the two lists are aligned from their ends.
    pairs = list(zip_longest(reversed(positional), reversed(names.defaults)))[::-1]
    parameters = [_parameter(arg, kind, default) for (arg, kind), default in pairs][method:]
    if names.vararg:
        parameters.append(_parameter(names.vararg, Parameter.VAR_POSITIONAL))
    for arg, value in zip(names.kwonlyargs, names.kw_defaults, strict=True):
        parameters.append(_parameter(arg, Parameter.KEYWORD_ONLY, value))
    if names.kwarg:
        parameters.append(_parameter(names.kwarg, Parameter.VAR_KEYWORD))
    return Signature(parameters)


def flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements and those in their branches, of which the likeliest to run comes last."""
    for statement in body:
        branches: Sequence[list[ast.stmt]] = ()
        match statement:
            case ast.If(test=test, body=then, orelse=other):
                branches = (then, other) if name_of(test) == "TYPE_CHECKING" else (other, then)
            case ast.Try(body=then, handlers=handlers, orelse=other, finalbody=end):
                branches = (*(handler.body for handler in handlers), then, other, end)
            case _:
                yield statement
        for branch in branches:
            yield from flat(branch)


def is_real(definition: ast.ClassDef | Function) -> bool:
    """Tell a definition from an ``@overload``, which only informs type checkers."""
    return all(name_of(decorator) != "overload" for decorator in definition.decorator_list)


def name_of(expression: ast.expr) -> str:
    """Return the last word of a dotted name, whether called, subscripted or bare; else ``""``."""
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(value=inner) | ast.Call(func=inner):
            return name_of(inner)
        case ast.Constant(value=None):
            return "None"
    return ""


def _fields(definition: ast.ClassDef, *, kw_only: bool) -> dict[str, Parameter]:
    fields = {}
    for statement in definition.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        name, annotation = statement.target.id, statement.annotation
        kind = name_of(next(_members(annotation)))
        options = _options(statement.value, "field")
        if kind == "KW_ONLY":
            kw_only = True
        elif kind != "ClassVar" and _literal(options.get("init"), default=True):
            named = _literal(options.get("kw_only"), default=kw_only)
            way = Parameter.KEYWORD_ONLY if named else Parameter.POSITIONAL_OR_KEYWORD
            default = statement.value
            if isinstance(default, ast.Call) and name_of(default) == "field":
                default = options.get("default") or options.get("default_factory")
            fields[name] = _parameter(ast.arg(name, annotation), way, default)
    return fields


def _kw_only(definition: ast.ClassDef) -> bool | None:
    """Read the ``kw_only`` of a dataclass with a generated constructor; None of other classes."""
    for decorator in definition.decorator_list:
        options = _options(decorator, "dataclass")
        if name_of(decorator) == "dataclass" and _literal(options.get("init"), default=True):
            return bool(_literal(options.get("kw_only"), default=False))
    return None


def _options(expression: ast.expr | None, function: str) -> dict[str, ast.expr]:
    """Return the keyword arguments of a call to a function of this name; of other things none."""
    if not isinstance(expression, ast.Call) or name_of(expression) != function:
        return {}
    return {keyword.arg: keyword.value for keyword in expression.keywords if keyword.arg}


def _parameter(arg: ast.arg, kind: Any, default: ast.expr | None = None) -> Parameter:
    annotation = arg.annotation or Parameter.empty
    return Parameter(arg.arg, kind, default=default or Parameter.empty, annotation=annotation)


def _members(annotation: ast.expr) -> Iterator[ast.expr]:
    """Take unions and quotes apart, down to the types that are alternatives."""
    name = name_of(annotation)
    match annotation:
        case ast.Constant(value=str(text)):
            yield from _members(_parsed(text))
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from (*_members(left), *_members(right))
        case ast.Subscript() if name in {"Union", "Optional"}:
            for argument in _arguments(annotation):
                yield from _members(argument)
            if name == "Optional":
                yield ast.Constant(None)
        case _:
            yield annotation


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return ast.Name(text)


def _arguments(annotation: ast.expr) -> list[ast.expr]:
    if not isinstance(annotation, ast.Subscript):
        return []
    inner = annotation.slice
    return inner.elts if isinstance(inner, ast.Tuple) else [inner]


def _fits(annotation: ast.expr, value: Any) -> bool:
    check = _CHECKS.get(name_of(annotation))
    return check is None or check(_arguments(annotation), value)


def _is_literal(choices: Sequence[ast.expr], value: Any) -> bool:
    known = [_literal(choice, default=...) for choice in choices]
    return any(type(value) is type(choice) and value == choice for choice in known)


def _is_sequence(arguments: Sequence[ast.expr], value: Any) -> bool:
    if not isinstance(value, (list, tuple)):
        return _is_node(value)
    return all(accepts(element, item) for element in arguments[:1] for item in value)


def _is_tuple(arguments: Sequence[ast.expr], value: Any) -> bool:
    open_ended = not arguments or ast.unparse(arguments[-1]) == "..."
    if open_ended or not isinstance(value, (list, tuple)):
        return _is_sequence(arguments, value)
    return len(arguments) == len(value) and all(map(accepts, arguments, value))


def _is_mapping(arguments: Sequence[ast.expr], value: Any) -> bool:
    if not isinstance(value, Mapping) or _is_node(value) or len(arguments) != 2:
        return isinstance(value, Mapping)
    key, item = arguments
    return all(accepts(key, name) and accepts(item, value[name]) for name in value)


def _is_object(_: Sequence[ast.expr], value: Any) -> bool:
    plain = value is None or isinstance(value, (bool, int, float, str, list, tuple, Mapping))
    return _is_node(value) or not plain


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _is_number(*types: type) -> Callable[[Sequence[ast.expr], Any], bool]:
    # Python counts True as 1; a config that says true where a number belongs is mistaken.
    return lambda _, value: isinstance(value, types) and not isinstance(value, bool)


_CHECKS: dict[str, Callable[[Sequence[ast.expr], Any], bool]] = {
    "None": lambda _, value: value is None,
    "bool": lambda _, value: isinstance(value, bool),
    "int": _is_number(int),
    "float": _is_number(int, float),
    "str": lambda _, value: isinstance(value, str),
    "Literal": _is_literal,
    **dict.fromkeys(_SEQUENCES, _is_sequence),
    **dict.fromkeys(_TUPLES, _is_tuple),
    **dict.fromkeys(_MAPPINGS, _is_mapping),
    **dict.fromkeys(_PATHS, lambda _, value: isinstance(value, (str, Path)) or _is_node(value)),
    **dict.fromkeys(_OBJECTS, _is_object),
}


def _in_words(annotation: ast.expr) -> str:
    name, source = name_of(annotation), ast.unparse(annotation)
    if name == "Literal":
        return f"one of {', '.join(ast.unparse(choice) for choice in _arguments(annotation))}"
    if name in _OBJECTS:
        return f"a node with a _target_ ({source})"
    for names, word in ((_SEQUENCES | _TUPLES, "a list"), (_MAPPINGS, "a mapping")):
        if name in names:
            return f"{word} ({source})" if _arguments(annotation) else word
    return _WORDS.get(name, source)


def _literal(expression: ast.expr | None, *, default: Any) -> Any:
    try:
        return default if expression is None else ast.literal_eval(expression)
    except ValueError:
        return default

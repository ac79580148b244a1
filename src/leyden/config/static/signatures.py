"""Signatures of functions and constructors, read from syntax trees."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from inspect import Parameter, Signature
from itertools import zip_longest
from typing import Any, TypeGuard

from leyden.config.static.annotations import literal, members, name_of

Function = ast.FunctionDef | ast.AsyncFunctionDef


def constructor_of(definition: ast.ClassDef, lineage: Iterable[ast.ClassDef]) -> Signature | None:
    """Read the signature of the constructor that a class itself defines, or ``None``.

    Args:
        definition: Class with a method or with the fields of a dataclass or named tuple.
        lineage: The class and its bases in the method resolution order, iterated over for
            dataclasses only.
    """
    lines = flat(definition.body)
    methods = {line.name: line for line in lines if isinstance(line, Function) and is_real(line)}
    # Like `inspect`: Python calls `__new__` first.
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
    """Read a signature, in which annotations and defaults are expressions of ``ast``.

    Args:
        function: Definition of the function.
        method: Whether to leave out the first parameter, ``self`` or ``cls``.
    """
    names = function.args
    positional: list[tuple[ast.arg, Any]]
    positional = [(arg, Parameter.POSITIONAL_ONLY) for arg in names.posonlyargs]
    positional += [(arg, Parameter.POSITIONAL_OR_KEYWORD) for arg in names.args]
    # Defaults belong to the last parameters, so both lists are aligned at their ends.
    pairs = list(zip_longest(reversed(positional), reversed(names.defaults)))[::-1]
    parameters = [_parameter(arg, kind, default) for (arg, kind), default in pairs][method:]
    if names.vararg:
        parameters.append(_parameter(names.vararg, Parameter.VAR_POSITIONAL))
    for arg, value in zip(names.kwonlyargs, names.kw_defaults, strict=True):
        parameters.append(_parameter(arg, Parameter.KEYWORD_ONLY, value))
    if names.kwarg:
        parameters.append(_parameter(names.kwarg, Parameter.VAR_KEYWORD))
    return Signature(parameters)


def super_call(definition: ast.ClassDef) -> ast.Call | None:
    """Find the call of ``super().__init__`` to which a class passes its ``**options``."""
    for method in flat(definition.body):
        if isinstance(method, Function) and method.name == "__init__" and method.args.kwarg:
            for call in filter(_is_super_init, ast.walk(method)):
                unpacked = [name_of(each.value) for each in call.keywords if not each.arg]
                if method.args.kwarg.arg in unpacked:
                    return call
    return None


def inherit_parameters(signature: Signature, base: Signature, call: ast.Call) -> Signature:
    """Replace ``**options`` by the parameters of the base that ``super_call`` does not set."""
    own = [p for p in signature.parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    taken = {keyword.arg for keyword in call.keywords} | {parameter.name for parameter in own}
    inherited = [
        p if p.kind is Parameter.VAR_KEYWORD else p.replace(kind=Parameter.KEYWORD_ONLY)
        for p in list(base.parameters.values())[len(call.args) :]
        if p.name not in taken and p.kind is not Parameter.VAR_POSITIONAL
    ]
    return Signature([*own, *inherited])


def flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements and those in branches, the branch that is likely to run last."""
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
    """Whether a definition is not just an ``@overload`` for type checkers."""
    return all(name_of(decorator) != "overload" for decorator in definition.decorator_list)


def _is_super_init(node: ast.AST) -> TypeGuard[ast.Call]:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=name)):
            return name == "__init__"
    return False


def _fields(definition: ast.ClassDef, *, kw_only: bool) -> dict[str, Parameter]:
    fields = {}
    for statement in definition.body:
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        name, annotation = statement.target.id, statement.annotation
        kind = name_of(next(members(annotation)))
        options = _options(statement.value, "field")
        if kind == "KW_ONLY":
            kw_only = True
        elif kind != "ClassVar" and literal(options.get("init"), default=True):
            named = literal(options.get("kw_only"), default=kw_only)
            way = Parameter.KEYWORD_ONLY if named else Parameter.POSITIONAL_OR_KEYWORD
            default = statement.value
            if isinstance(default, ast.Call) and name_of(default) == "field":
                default = options.get("default") or options.get("default_factory")
            fields[name] = _parameter(ast.arg(name, annotation), way, default)
    return fields


def _kw_only(definition: ast.ClassDef) -> bool | None:
    """Return the ``kw_only`` of a dataclass; ``None`` if no constructor is generated."""
    for decorator in definition.decorator_list:
        options = _options(decorator, "dataclass")
        if name_of(decorator) == "dataclass" and literal(options.get("init"), default=True):
            return bool(literal(options.get("kw_only"), default=False))
    return None


def _options(expression: ast.expr | None, function: str) -> dict[str, ast.expr]:
    """Return the keyword arguments of a call of a function; none for other expressions."""
    if not isinstance(expression, ast.Call) or name_of(expression) != function:
        return {}
    return {keyword.arg: keyword.value for keyword in expression.keywords if keyword.arg}


def _parameter(arg: ast.arg, kind: Any, default: ast.expr | None = None) -> Parameter:
    annotation = arg.annotation or Parameter.empty
    return Parameter(arg.arg, kind, default=default or Parameter.empty, annotation=annotation)

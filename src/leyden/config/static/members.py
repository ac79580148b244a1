"""Attributes of classes and results of their methods, read from syntax trees."""

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from leyden.config.static.annotations import literal, name_of
from leyden.config.static.signatures import Function, flat
from leyden.config.static.sources import Class


def read_attribute(classes: Iterable[Class], name: str) -> Any:
    """Return an attribute that the first class to set it sets to a constant, or else ``None``.

    Args:
        classes: A class and its bases in the method resolution order.
        name: Name of the attribute.
    """
    for definition in classes:
        for statement in flat(definition.node.body):
            match statement:
                case (
                    ast.Assign(targets=[ast.Name(id=found)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=found), value=value)
                ) if found == name and value:
                    return literal(value, default=None)
    return None


def returned_keys(classes: Sequence[Class], method: str) -> frozenset[str] | None:
    """Return the keys of the mapping that a method returns; ``None`` if they cannot be read.

    They can be read from literals, also if they are joined to each other or to the result of the
    method of a base class.

    Args:
        classes: A class and its bases in the method resolution order.
        method: Name of the method.
    """
    for place, definition in enumerate(classes):
        for function in _methods(definition, method):
            results = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
            bases = classes[place + 1 :]
            keys = {_keys(result.value, bases, method) for result in results}
            return keys.pop() if len(keys) == 1 else None
    return None


def _methods(definition: Class, name: str) -> Iterator[Function]:
    for statement in flat(definition.node.body):
        if isinstance(statement, Function) and statement.name == name:
            yield statement


def _keys(
    expression: ast.expr | None, bases: Sequence[Class], method: str
) -> frozenset[str] | None:
    match expression:
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            parts = [_key(key) if key else _keys(value, bases, method) for key, value in pairs]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            parts = [_keys(side, bases, method) for side in (left, right)]
        case ast.Call(func=ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr=name)):
            return returned_keys(bases, method) if name == method else None
        case ast.Call(func=function, args=[], keywords=keywords) if name_of(function) == "dict":
            parts = [frozenset({each.arg}) if each.arg else None for each in keywords]
        case _:
            return None
    known = [part for part in parts if part is not None]
    return frozenset[str]().union(*known) if len(known) == len(parts) else None


def _key(key: ast.expr) -> frozenset[str] | None:
    name = literal(key, default=None)
    return frozenset({name}) if isinstance(name, str) else None

"""Documentation of classes, functions and their parameters, read from source files."""

import ast
import inspect
import re
from collections.abc import Iterator, Sequence

from leyden.config.static.sources import (
    Class,
    Function,
    Import,
    Module,
    find_module,
    lineage,
)

_SECTION = re.compile(r"(?:Args|Arguments|Attributes|Parameters|Keyword Args):$")
_PARAMETER = re.compile(r"`{0,2}\**(\w+)`{0,2}\s*(?:\(.*?\))?\s*:(?: |$)(.*)")


def summary_of(found: Class | Function) -> str:
    """Return the first paragraph of the docstring; an empty string if there is none."""
    text = next(filter(None, _documents(found)), "")
    return _plain(inspect.cleandoc(text).partition("\n\n")[0])


def parameters_of(found: Class | Function) -> dict[str, str]:
    """Return what the docstrings say about each parameter, those of base classes included."""
    described: dict[str, str] = {}
    for definition in lineage(found) if isinstance(found, Class) else (found,):
        for text in _documents(definition):
            described = _described(inspect.cleandoc(text).splitlines()) | described
    return {name: _plain(text) for name, text in described.items()}


def _documents(found: Class | Function) -> Iterator[str]:
    """Yield the docstrings of a definition: its own, its constructor's, and an assigned one."""
    yield ast.get_docstring(found.node) or ""
    if isinstance(found, Class):
        for line in found.node.body:
            if isinstance(line, ast.FunctionDef) and line.name == "__init__":
                yield ast.get_docstring(line) or ""
    for line in found.module.statements:
        match line:
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Name(id=found.name), attr="__doc__")], value=value
            ):
                yield _text(found.module, value)


def _text(module: Module, expression: object) -> str:
    """Evaluate a text that is joined from constants, also those of other modules."""
    match expression:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(module, part) for part in parts)
        case ast.FormattedValue(value=value):
            return _text(module, value)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(module, left) + _text(module, right)
        case ast.Name(id=name):
            return _text(*_bound(module, name))
    return ""


def _bound(module: Module, name: str) -> tuple[Module, object]:
    """Return the last binding of a name, followed through one import."""
    binding = next(reversed(module.bindings.get(name, [])), None)
    if isinstance(binding, Import) and binding.name and (source := find_module(binding.module)):
        return source, next(reversed(source.bindings.get(binding.name, [])), None)
    return module, binding


def _plain(text: str) -> str:
    """Return a text on one line, without the marks of code and cross-references."""
    return " ".join(re.sub(r":\w+:(?=`)|(?<=`)~|``", "", text).replace("`", "").split())


def _described(lines: Sequence[str]) -> dict[str, str]:
    """Read the sections of arguments of a docstring in Google's style."""
    described: dict[str, str] = {}
    name, entry, section = "", -1, -1
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if _SECTION.fullmatch(line.strip()):
            name, entry, section = "", -1, indent
        elif not line.strip() or section < 0:
            continue
        elif indent <= section:
            section = -1
        elif entry in (-1, indent) and (found := _PARAMETER.match(line.strip())):
            name, entry = found[1], indent
            described[name] = found[2].strip()
        elif name:
            described[name] = f"{described[name]} {line.strip()}".strip()
    return described

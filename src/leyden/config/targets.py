"""Hydra targets, resolved by reading source files: nothing that a config names is imported.

Importing torch takes seconds, and importing a stranger's target may already do harm. So a target is
found as a definition in a source file, and refused unless both its name and its home are trusted.
"""

import ast
import functools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from leyden.config import annotations
from leyden.errors import UserError, did_you_mean

# What a config may name: these, and what is defined under them.
_ROOMS = ("callbacks", "data", "losses", "networks", "optim", "tasks")
_LIGHTNING = ("accelerators", "callbacks", "loggers", "plugins", "profilers", "strategies")
TRUSTED: tuple[str, ...] = (
    *(f"leyden.{room}" for room in _ROOMS),
    *(f"lightning.pytorch.{room}" for room in _LIGHTNING),
    "lightning.fabric.plugins",
    "lightning.pytorch.Trainer",
    "lightning.pytorch.trainer.trainer.Trainer",
    "torch.nn",
    "torch.optim",
    "torchmetrics",
)
# Where functions may be named as well as classes: those elsewhere open, fetch and write files.
TRUSTED_FUNCTIONS: tuple[str, ...] = (
    *(f"leyden.{room}" for room in ("losses", "networks", "optim")),
    "torch.nn",
    "torch.optim",
    "torchmetrics.functional",
)
# Under a trusted name, yet made to load models by name or path, which may bring code of their own.
DENIED: tuple[str, ...] = (
    "torchmetrics.functional.multimodal",
    "torchmetrics.functional.text.bert",
    "torchmetrics.functional.text.helper_embedding_metric",
    "torchmetrics.functional.text.infolm",
    "torchmetrics.multimodal",
    "torchmetrics.text.bert",
    "torchmetrics.text.infolm",
)
_HERE = "src/leyden/config/targets.py"
_LONGEST_HINT = 120
_HYDRA_KEYS = frozenset({"_target_", "_partial_", "_convert_", "_recursive_", "_args_"})
_NAMELESS = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_EMPTY_BASES = frozenset({"object", "ABC", "Generic", "Protocol", "NamedTuple"})


@dataclass(frozen=True)
class Target:
    """What a ``_target_`` stands for.

    Attributes:
        target: As it was given.
        canonical: The dotted name of its definition.
        signature: Annotations and defaults are the ``ast.expr`` of the source.
        is_class: Whether it is a class, not a function.
    """

    target: str
    canonical: str
    signature: Signature
    is_class: bool


def resolve(target: str) -> Target:
    """Find the definition of a target without importing anything.

    Raises:
        UserError: The target is not trusted, does not exist, or is no class or function.
    """
    if not all(part.isidentifier() for part in target.split(".")):
        raise UserError(f"_target_ {target!r} is not a dotted name such as 'torch.optim.AdamW'.")
    _refuse(target, target, trusted=TRUSTED, public=target)
    found = _find(target)
    is_class = isinstance(found, _Class)
    # Public classes may have a private home, as torch.optim.Muon has; functions may not.
    public = target if is_class else found.canonical
    trusted = TRUSTED if is_class else TRUSTED_FUNCTIONS
    _refuse(target, found.canonical, trusted=trusted, public=public)
    return Target(target, found.canonical, _signature(found), is_class)


def bind(target: Target, arguments: Mapping[str, Any], *, partial: bool, where: str) -> None:
    """Check the arguments that a config node gives to its target.

    Args:
        target: What will be called.
        arguments: The node, with or without Hydra's own keys.
        partial: Whether further arguments follow at run time, so that none is missing yet.
        where: The dotted key of the node, which messages begin with.

    Raises:
        UserError: An argument is unknown, missing, or of a wrong type.
    """
    key = f"{where}." if where else ""
    parameters = target.signature.parameters.values()
    known = {p.name: p for p in parameters if p.kind not in _NAMELESS}
    given = _by_position(target, arguments.get("_args_", ()), key)
    given |= {name: value for name, value in arguments.items() if name not in _HYDRA_KEYS}
    for name, value in given.items():
        if name in known:
            fault = annotations.mismatch(known[name], value)
            if fault:
                raise UserError(f"{key}{name}: {fault}.")
        elif all(p.kind is not Parameter.VAR_KEYWORD for p in parameters):
            hint = _hint(name, known)
            raise UserError(f"{key}{name}: {target.target} takes no argument {name!r}.{hint}")
    required = (name for name, p in known.items() if p.default is Parameter.empty)
    missing = [f"{key}{name}" for name in required if name not in given]
    if missing and not partial:
        raise UserError(f"{target.target} lacks required arguments: set {', '.join(missing)}.")


def _by_position(target: Target, values: Sequence[Any], key: str) -> dict[str, Any]:
    parameters = target.signature.parameters.values()
    names = [p.name for p in parameters if p.kind not in (*_NAMELESS, Parameter.KEYWORD_ONLY)]
    endless = any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
    if len(values) > len(names) and not endless:
        most = f"at most {len(names)} arguments by position, got {len(values)}"
        raise UserError(f"{key}_args_: {target.target} takes {most}.")
    return dict(zip(names, values, strict=False))


def _refuse(target: str, name: str, *, public: str, trusted: tuple[str, ...]) -> None:
    """Refuse a target for one of its names: the one that was given, or the one of its home."""
    if any(part.startswith("_") for part in public.split(".")):
        reason = f"{public!r} is private. Name something public"
    elif _within(name, DENIED):
        reason = f"{name!r} loads models that may bring code of their own. Choose the model in "
        reason += "Python instead, in a class of your own in leyden"
    elif not _within(name, TRUSTED):
        reason = f"{name!r} is not in a trusted package. Put what you need in a room of leyden"
        reason += f" ({', '.join(_ROOMS)}), or add the package to TRUSTED in {_HERE}"
    elif not _within(name, trusted):
        reason = f"{name!r} is a function, and only classes are trusted there. Name a class"
    else:
        return
    package = ".".join(name.split(".")[:2])
    hint = "" if _within(name, TRUSTED) else _hint(package, TRUSTED)
    raise UserError(f"_target_ {target!r} is refused: {reason}.{hint}")


def _within(name: str, prefixes: Iterable[str]) -> bool:
    return any(f"{name}.".startswith(f"{prefix}.") for prefix in prefixes)


def _hint(name: str, known: Iterable[str]) -> str:
    hint = did_you_mean(name, known)
    # The names of a whole package would drown the message.
    return hint if len(hint) < _LONGEST_HINT else ""


@dataclass(frozen=True)
class _Import:
    module: str
    name: str | None


_Binding = ast.ClassDef | annotations.Function | ast.expr | _Import
_Trail = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class _Module:
    name: str
    source: Path | None
    folders: tuple[Path, ...]

    @functools.cached_property
    def statements(self) -> list[ast.stmt]:
        with warnings.catch_warnings(action="ignore"):  # on doubtful escapes in strangers' strings
            try:
                text = self.source.read_bytes() if self.source else b""
                return list(annotations.flat(ast.parse(text).body))
            except SyntaxError as error:
                raise UserError(f"{self.source}:{error.lineno}: {error.msg}.") from error

    @functools.cached_property
    def bindings(self) -> dict[str, list[_Binding]]:
        bindings: dict[str, list[_Binding]] = {}
        for name, binding in (bound for line in self.statements for bound in self._bound(line)):
            bindings.setdefault(name, []).append(binding)
        return bindings

    def _bound(self, statement: ast.stmt) -> Iterator[tuple[str, _Binding]]:
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if annotations.is_real(statement):
                    yield statement.name, statement
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name.partition(".")[0]
                    yield alias.asname or top, _Import(alias.name if alias.asname else top, None)
            case ast.ImportFrom(names=names):
                for alias in names:
                    yield alias.asname or alias.name, _Import(self._origin(statement), alias.name)
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=value)
            ) if value:
                yield name, value

    def _origin(self, statement: ast.ImportFrom) -> str:
        if not statement.level:
            return statement.module or ""
        inside = f"{self.name}.__init__" if self.folders else self.name
        package = inside.rsplit(".", statement.level)[0]
        return f"{package}.{statement.module}" if statement.module else package

    def stars(self) -> Iterator["_Module"]:
        for statement in reversed(self.statements):
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                source = _module(self._origin(statement))
                if source:
                    yield source

    def public(self) -> set[str]:
        """Name what is worth a hint: what it defines, and what it has from trusted packages."""
        names = set()
        for module in (self, *self.stars()):
            for name, (*_, last) in module.bindings.items():
                if not isinstance(last, _Import) or _within(last.module, TRUSTED):
                    names.add(name)
        return {name for name in names if not name.startswith("_")}

    def submodules(self) -> set[str]:
        names = (path.stem for folder in self.folders for path in folder.glob("[a-z]*"))
        return {name for name in names if _module(f"{self.name}.{name}")}


@dataclass(frozen=True)
class _Definition:
    module: _Module
    name: str

    @property
    def canonical(self) -> str:
        return f"{self.module.name}.{self.name}"


@dataclass(frozen=True)
class _Class(_Definition):
    node: ast.ClassDef


@dataclass(frozen=True)
class _Function(_Definition):
    node: annotations.Function


_Found = _Module | _Class | _Function


def _find(target: str) -> _Class | _Function:
    top, *path = target.split(".")
    found: _Found | None = _module(top)
    if found is None:
        raise UserError(f"_target_ {target!r} does not exist: is {top!r} installed?")
    for part in path:
        if not isinstance(found, _Module):
            reason = f"it is inside {found.canonical}. Name a class or function of a module"
            raise UserError(f"_target_ {target!r} is refused: {reason}.")
        holder = found
        found = _lookup(holder, part)
        if found is None:
            raise UserError(f"_target_ {target!r} {_fault(holder, part)}")
    if isinstance(found, _Module):
        raise UserError(f"_target_ {target!r} is a module, where a class or function belongs.")
    return found


def _fault(holder: _Module, name: str) -> str:
    if name in holder.bindings:
        return f"cannot be read: {name!r} is no class or function in the source of {holder.name}."
    hint = _hint(name, holder.public() | holder.submodules())
    return f"does not exist: {holder.name} has no {name!r}.{hint}"


@functools.cache
def _module(name: str) -> _Module | None:
    parent, _, leaf = name.rpartition(".")
    if not parent:
        return _package(name)
    package = _module(parent)
    for folder in package.folders if package else ():
        if (folder / leaf).is_dir():
            source = folder / leaf / "__init__.py"
            return _Module(name, source if source.is_file() else None, (folder / leaf,))
        if (folder / f"{leaf}.py").is_file():
            return _Module(name, folder / f"{leaf}.py", ())
    return None


def _package(name: str) -> _Module | None:
    spec = find_spec(name) if name.isidentifier() and name != "__main__" else None
    if spec is None:
        return None
    source = Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    return _Module(name, source, tuple(map(Path, spec.submodule_search_locations or ())))


def _lookup(module: _Module, name: str, trail: _Trail = frozenset()) -> _Found | None:
    found = _named(module, name, trail)
    # A submodule is meant where a package imports it from itself, and hidden by any other binding.
    if found is None and ((module.name, name) in trail or name not in module.bindings):
        return _module(f"{module.name}.{name}")
    return found


def _named(module: _Module, name: str, trail: _Trail) -> _Found | None:
    """Follow a name to its definition; the trail of earlier steps ends a way round in a circle."""
    step = (module.name, name)
    if step in trail:
        return None
    trail |= {step}
    own = next(filter(_leads_on, reversed(module.bindings.get(name, []))), None)
    if own is not None:
        return _follow(module, name, own, trail)
    starred = (_named(source, name, trail) for source in module.stars())
    return next((found for found in starred if found), None)


def _leads_on(binding: _Binding) -> bool:
    """Tell a binding from one that yields to an earlier one: not installed, or a call that wraps.

    Whatever else can't be followed must hide the earlier ones, as it does when the program runs.
    """
    if isinstance(binding, _Import):
        return _module(binding.module.partition(".")[0]) is not None
    return not isinstance(binding, (ast.Call, ast.Constant))


def _follow(module: _Module, name: str, binding: _Binding, trail: _Trail) -> _Found | None:
    match binding:
        case ast.ClassDef():
            return _Class(module, name, binding)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return _Function(module, name, binding)
        case _Import(module=origin, name=inner):
            source = _module(origin)
            return _lookup(source, inner, trail) if source and inner else source
        case _:
            return _evaluate(module, binding, trail)


def _evaluate(module: _Module, expression: ast.expr, trail: _Trail) -> _Found | None:
    match expression:
        case ast.Name(id=name):
            return _lookup(module, name, trail)
        case ast.Attribute(value=value, attr=name):
            holder = _evaluate(module, value, trail)
            return _lookup(holder, name, trail) if isinstance(holder, _Module) else None
        case ast.Subscript(value=value):
            return _evaluate(module, value, trail)
    return None


def _signature(found: _Class | _Function) -> Signature:
    if isinstance(found, _Function):
        return annotations.signature_of(found.node, method=False)
    for definition in _lineage(found):
        bases = (base.node for base in _lineage(definition))
        signature = annotations.constructor_of(definition.node, bases)
        if signature is not None:
            return signature
    return Signature()


def _lineage(found: _Class) -> Iterator[_Class]:
    """Yield a class and its bases in Python's order, reading the files of bases only when asked."""
    yield found
    names = (base for base in found.node.bases if annotations.name_of(base) not in _EMPTY_BASES)
    bases = [_base(found, name) for name in names]
    lines = [*(list(_lineage(base)) for base in bases), bases]
    while lines := [line for line in lines if line]:
        later = {base.canonical for line in lines for base in line[1:]}
        ready = (line[0] for line in lines if line[0].canonical not in later)
        head = next(ready, lines[0][0])
        yield head
        lines = [[base for base in line if base.canonical != head.canonical] for line in lines]


def _base(of: _Class, name: ast.expr) -> _Class:
    found = _evaluate(of.module, name, frozenset())
    if isinstance(found, _Class) and found != of:
        return found
    # A base without Python source, or one that a call builds: its constructor may take anything.
    body = ast.parse("def __init__(self, *args, **kwargs): ...").body
    node = ast.ClassDef("", bases=[], keywords=[], body=body, decorator_list=[])
    return _Class(of.module, "", node)

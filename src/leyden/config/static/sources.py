"""Definitions of classes and functions, found in source files without importing them.

A name is followed through modules, imports, star imports and aliases to the definition of the class
or function, whose signature is then read.
"""

import ast
import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from inspect import Signature
from pathlib import Path

from leyden.config.static import signatures
from leyden.config.static.annotations import name_of
from leyden.errors import UserError

_EMPTY_BASES = frozenset({"object", "ABC", "Generic", "Protocol", "NamedTuple"})


@dataclass(frozen=True)
class Import:
    """Origin of a name that an import statement binds.

    Attributes:
        module: Dotted name of the module.
        name: Name in that module; ``None`` for the module itself.
    """

    module: str
    name: str | None


Binding = ast.ClassDef | signatures.Function | ast.expr | Import
Trail = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Module:
    """A module or package on disk.

    Attributes:
        name: Dotted name.
        source: Source file; ``None`` if there is none, as in namespace packages.
        folders: Folders of a package; none for modules.
    """

    name: str
    source: Path | None
    folders: tuple[Path, ...]

    @functools.cached_property
    def statements(self) -> list[ast.stmt]:
        """Parsed statements, those in branches included.

        Raises:
            UserError: If the file has a syntax error.
        """
        with warnings.catch_warnings(action="ignore"):  # of invalid escapes
            try:
                text = self.source.read_bytes() if self.source else b""
                return list(signatures.flat(ast.parse(text).body))
            except SyntaxError as error:
                raise UserError(f"{self.source}:{error.lineno}: {error.msg}.") from error

    @functools.cached_property
    def bindings(self) -> dict[str, list[Binding]]:
        """Bindings of each name, in the order of the source."""
        bindings: dict[str, list[Binding]] = {}
        for name, binding in (bound for line in self.statements for bound in self._bound(line)):
            bindings.setdefault(name, []).append(binding)
        return bindings

    def _bound(self, statement: ast.stmt) -> Iterator[tuple[str, Binding]]:
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                if signatures.is_real(statement):
                    yield statement.name, statement
            case ast.Import(names=names):
                for alias in names:
                    top = alias.name.partition(".")[0]
                    yield alias.asname or top, Import(alias.name if alias.asname else top, None)
            case ast.ImportFrom(names=names):
                for alias in names:
                    yield alias.asname or alias.name, Import(self._origin(statement), alias.name)
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

    def stars(self) -> Iterator["Module"]:
        """Yield the modules of star imports, the last one first."""
        for statement in reversed(self.statements):
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                source = find_module(self._origin(statement))
                if source:
                    yield source

    def public(self, is_trusted: Callable[[str], bool]) -> set[str]:
        """Return public names that are defined here or imported from trusted modules, for hints."""
        names = set()
        for module in (self, *self.stars()):
            for name, (*_, last) in module.bindings.items():
                if not isinstance(last, Import) or is_trusted(last.module):
                    names.add(name)
        return {name for name in names if not name.startswith("_")}

    def submodules(self) -> set[str]:
        """Return the names of the public modules inside a package."""
        names = (path.stem for folder in self.folders for path in folder.glob("[a-z]*"))
        return {name for name in names if find_module(f"{self.name}.{name}")}


@dataclass(frozen=True)
class Definition:
    """A class or function in the module that defines it.

    Attributes:
        module: Module with the definition.
        name: Name in that module.
    """

    module: Module
    name: str

    @property
    def canonical(self) -> str:
        """Dotted name of the definition."""
        return f"{self.module.name}.{self.name}"


@dataclass(frozen=True)
class Class(Definition):
    """Definition of a class."""

    node: ast.ClassDef


@dataclass(frozen=True)
class Function(Definition):
    """Definition of a function."""

    node: signatures.Function


Found = Module | Class | Function


@functools.cache
def find_module(name: str) -> Module | None:
    """Find a module by its dotted name; ``None`` if it is missing.

    Only top-level packages are looked up by Python's import system.
    """
    parent, _, leaf = name.rpartition(".")
    if not parent:
        return _package(name)
    package = find_module(parent)
    for folder in package.folders if package else ():
        if (folder / leaf).is_dir():
            source = folder / leaf / "__init__.py"
            return Module(name, source if source.is_file() else None, (folder / leaf,))
        if (folder / f"{leaf}.py").is_file():
            return Module(name, folder / f"{leaf}.py", ())
    return None


def _package(name: str) -> Module | None:
    spec = find_spec(name) if name.isidentifier() and name != "__main__" else None
    if spec is None:
        return None
    source = Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    return Module(name, source, tuple(map(Path, spec.submodule_search_locations or ())))


def lookup(module: Module, name: str, trail: Trail = frozenset()) -> Found | None:
    """Find the definition or submodule that a name in a module refers to, or ``None``."""
    found = _named(module, name, trail)
    # A package may import a submodule from itself; any other binding hides the submodule.
    if found is None and ((module.name, name) in trail or name not in module.bindings):
        return find_module(f"{module.name}.{name}")
    return found


def _named(module: Module, name: str, trail: Trail) -> Found | None:
    """Follow a name to its definition; the trail of earlier steps detects circles."""
    step = (module.name, name)
    if step in trail:
        return None
    trail |= {step}
    own = next(filter(_leads_on, reversed(module.bindings.get(name, []))), None)
    if own is not None:
        return _follow(module, name, own, trail)
    starred = (_named(source, name, trail) for source in module.stars())
    return next((found for found in starred if found), None)


def _leads_on(binding: Binding) -> bool:
    """Whether a binding hides earlier ones of the same name.

    Imports of packages that are not installed do not, nor do calls, which usually wrap the earlier
    one. Everything else hides them even if it cannot be followed, as it does at run time.
    """
    if isinstance(binding, Import):
        return find_module(binding.module.partition(".")[0]) is not None
    return not isinstance(binding, (ast.Call, ast.Constant))


def _follow(module: Module, name: str, binding: Binding, trail: Trail) -> Found | None:
    match binding:
        case ast.ClassDef():
            return Class(module, name, binding)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return Function(module, name, binding)
        case Import(module=origin, name=inner):
            source = find_module(origin)
            return lookup(source, inner, trail) if source and inner else source
        case _:
            return _evaluate(module, binding, trail)


def _evaluate(module: Module, expression: ast.expr, trail: Trail) -> Found | None:
    match expression:
        case ast.Name(id=name):
            return lookup(module, name, trail)
        case ast.Attribute(value=value, attr=name):
            holder = _evaluate(module, value, trail)
            return lookup(holder, name, trail) if isinstance(holder, Module) else None
        case ast.Subscript(value=value):
            return _evaluate(module, value, trail)
    return None


def signature_of(found: Class | Function) -> Signature:
    """Read the signature of a function or of the constructor of a class.

    If a constructor passes its ``**options`` to ``super().__init__``, the parameters of the next
    constructor are included.
    """
    if isinstance(found, Function):
        return signatures.signature_of(found.node, method=False)
    return _constructor(list(lineage(found)))


def _constructor(classes: Sequence[Class]) -> Signature:
    for place, definition in enumerate(classes):
        bases = (base.node for base in lineage(definition))
        signature = signatures.constructor_of(definition.node, bases)
        if signature is None:
            continue
        if call := signatures.super_call(definition.node):
            return signatures.inherit_parameters(
                signature, _constructor(classes[place + 1 :]), call
            )
        return signature
    return Signature()


def lineage(found: Class) -> Iterator[Class]:
    """Yield a class and its bases in the method resolution order, reading files lazily."""
    yield found
    names = (base for base in found.node.bases if name_of(base) not in _EMPTY_BASES)
    bases = [_base(found, name) for name in names]
    lines = [*(list(lineage(base)) for base in bases), bases]
    while lines := [line for line in lines if line]:
        later = {base.canonical for line in lines for base in line[1:]}
        ready = (line[0] for line in lines if line[0].canonical not in later)
        head = next(ready, lines[0][0])
        yield head
        lines = [[base for base in line if base.canonical != head.canonical] for line in lines]


def _base(of: Class, name: ast.expr) -> Class:
    found = _evaluate(of.module, name, frozenset())
    if isinstance(found, Class) and found != of:
        return found
    # A base without Python source, or one made by a call: its constructor accepts anything.
    body = ast.parse("def __init__(self, *args, **kwargs): ...").body
    node = ast.ClassDef("", bases=[], keywords=[], body=body, decorator_list=[])
    return Class(of.module, "", node)

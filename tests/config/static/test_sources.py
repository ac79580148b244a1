import importlib
import inspect
import operator
import pkgutil
import sys
import textwrap

import pytest

from leyden.config.static import targets
from leyden.config.static.targets import resolve
from leyden.errors import UserError


@pytest.fixture
def package(tmp_path, monkeypatch, request):
    """Return a function that writes modules of a trusted package and returns its name."""
    name = f"{request.node.name.partition('[')[0]}_package"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(targets, "TRUSTED", (name,))
    monkeypatch.setattr(targets, "TRUSTED_FUNCTIONS", (name,))

    def write(**modules):
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(textwrap.dedent(text))
        return name

    return write


def shape(signature):
    return [(p.name, p.kind, p.default is p.empty) for p in signature.parameters.values()]


def assert_same(package, *names):
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        importlib.import_module(module.name)
    for name in names:
        real = operator.attrgetter(name)(sys.modules[package])
        found = resolve(f"{package}.{name}")
        assert shape(found.signature) == shape(inspect.signature(real)), name
        assert found.canonical == f"{real.__module__}.{real.__name__}"


def test_names_are_followed_through_every_import(package):
    name = package(
        __init__="from .b import *\nfrom . import a as c\nfrom .a import One as Uno",
        a="""
            class One:
                def __init__(self, x, *, y=1): ...
            def helper(z): ...
            Alias = One
        """,
        b="""
            import functools
            from . import a
            from .a import One
            try:
                from nowhere import Two
            except ImportError:
                Two = One
            if functools:
                class Three(a.One): ...
            else:
                Three = None
            Four = a.Alias
            def five(): ...
            five = functools.cache(five)
        """,
    )
    assert_same(name, "a.One", "a.helper", "a.Alias", "Uno", "c.One")
    assert_same(name, "One", "Two", "Three", "b.Four", "b.five")


def test_bindings_that_cannot_be_followed_hide_earlier_ones(package):
    name = package(
        a="""
            try:
                from os import system as run
            except ImportError:
                def run(): ...
            def go(): ...
            import os
            go = os.system
            def up(): ...
            up: object = os.system
        """,
        b="from os import system as c",
        c="def up(): ...",
        __init__="from .b import c",
    )
    for target in ("a.run", "a.go", "a.up", "c.up"):
        with pytest.raises(UserError, match="cannot be read"):
            resolve(f"{name}.{target}")


def test_circular_imports_are_reported(package):
    name = package(
        a="from .b import Thing\nfrom .b import *",
        b="from .a import Thing\nMe = Me\nfrom .a import *",
    )
    for target in ("a.Thing", "b.Thing", "b.Me", "a.Other"):
        with pytest.raises(UserError, match=r"cannot be read|does not exist"):
            resolve(f"{name}.{target}")


def test_constructors_come_from_the_nearest_base(package):
    name = package(
        a="""
            from abc import ABC
            from typing import Generic, NamedTuple, TypeVar, overload
            T = TypeVar("T")
            class Root:
                def __init__(self, root): ...
            class Left(Root): ...
            class Right(Root):
                def __init__(self, right): ...
            class Diamond(Left, Right): ...
            class Empty(ABC, Generic[T]): ...
            class Child(Empty[int]): ...
            class New:
                def __new__(cls, new=1): ...
            class Both(New):
                def __init__(self, both): ...
            class Overloaded:
                @overload
                def __init__(self, a: int): ...
                @overload
                def __init__(self, b: str): ...
                def __init__(self, *args): ...
            class Row(NamedTuple):
                a: int
                b: str = "x"
        """,
    )
    classes = ("Diamond", "Left", "Empty", "Child", "New", "Both", "Overloaded", "Row")
    assert_same(name, *(f"a.{cls}" for cls in classes))


def test_dataclasses(package):
    name = package(
        a="""
            import dataclasses
            from dataclasses import KW_ONLY, dataclass, field
            from typing import ClassVar
            @dataclass
            class Base:
                a: int
                b: float = 1.0
                c: list[int] = field(default_factory=list)
                d: ClassVar[int] = 3
                e: int = field(default=3, init=False)
            @dataclass(frozen=True)
            class Frozen:
                x: int = field(repr=False)
            @dataclasses.dataclass(kw_only=True)
            class Child(Base):
                f: str
                b: float = 2.0
            @dataclass
            class Mixed:
                a: int
                _: KW_ONLY
                b: int
            class Plain(Child): ...
            @dataclass(init=False)
            class Bare(Base):
                z: int
        """,
    )
    assert_same(
        name, *(f"a.{cls}" for cls in ("Base", "Frozen", "Child", "Mixed", "Plain", "Bare"))
    )


def test_constructors_of_bases_without_source_accept_anything(package):
    name = package(a="class Map(dict): ...\ndef made(): ...\nclass Odd(made()): ...")
    for cls in ("Map", "Odd"):
        assert [*resolve(f"{name}.a.{cls}").signature.parameters] == ["args", "kwargs"]


def test_a_syntax_error_names_its_file_and_line(package):
    name = package(a="x = 1\nclass")
    with pytest.raises(UserError, match=r"a\.py:2: invalid syntax"):
        resolve(f"{name}.a.Thing")


def test_options_passed_to_super_are_in_the_signature(package):
    name = package(
        base="class Base:\n    def __init__(self, *, name: str, size: int = 3): ...",
        leaf="""
            from .base import Base
            class Leaf(Base):
                def __init__(self, *, root: str, **options):
                    super().__init__(name="leaf", **options)
        """,
    )
    assert list(resolve(f"{name}.leaf.Leaf").signature.parameters) == ["root", "size"]

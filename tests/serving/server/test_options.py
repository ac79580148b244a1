"""The words of ``leyden serve`` are documented."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from leyden.cli.completion import candidates
from leyden.cli.serve import USAGE
from leyden.serving.server.openapi import ERRORS
from leyden.serving.server.options import Options

PAGE = (Path(__file__).parents[3] / "docs" / "serve.md").read_text(encoding="utf-8")
TABLE = dict(re.findall(r"^\| `(\w+)` \| (\S*) *\| .+ \|$", PAGE, re.M))
DEFAULTS = {
    option.name: "" if option.default is None else f"{option.default}".removesuffix(".0")
    for option in fields(Options)
}


def test_the_page_lists_all_words_with_their_defaults():
    shown = {name: default.strip("`") for name, default in TABLE.items()}

    assert shown == {"export": "", "run": "", **DEFAULTS}


def test_the_help_lists_all_words_with_their_defaults():
    named = dict(re.findall(r"\b([a-z_]+)=(\S+)", USAGE))

    assert named.keys() == TABLE.keys()
    assert {name: named[name] for name, default in DEFAULTS.items() if default} == {
        name: default for name, default in DEFAULTS.items() if default
    }


def test_the_words_are_completed():
    assert candidates("leyden serve batch") == ["batch_rows="]
    assert candidates("leyden serve exp") == ["export="]
    assert candidates("leyden serve network") == []


@pytest.mark.parametrize("status", ERRORS)
def test_the_page_lists_all_errors(status):
    assert re.search(rf"^\| (?:\d+, )*{status.value}\b", PAGE, re.M)

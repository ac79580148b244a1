import sys

import pytest

from leyden.cli.arguments import split
from leyden.errors import UserError


def test_words_are_split_three_ways():
    arguments = split(["run=a", "seed=1", "-m", "b.png", "x=y=z"], "run")

    assert arguments.own == {"run": ["a"]}
    assert arguments.overrides == ["seed=1", "x=y=z"]
    assert arguments.bare == ["-m", "b.png"]


def test_only_own_keys_are_taken():
    arguments = split(["name=a", "run.x=b", "+run=c"], "run")

    assert arguments.own == {}
    assert arguments.overrides == ["name=a", "run.x=b", "+run=c"]


def test_the_last_value_counts_and_all_are_kept():
    arguments = split(["input=a", "input=b=c"], "input")

    assert arguments.one("input") == "b=c"
    assert arguments.own["input"] == ["a", "b=c"]
    assert arguments.one("run") is None


@pytest.mark.parametrize("words", [[], ["run="]], ids=str)
def test_required_key_comes_with_an_example(words):
    with pytest.raises(UserError, match=r"run= is missing.*leyden do run=X"):
        split(words, "run").required("run", "leyden do run=X")


def test_bare_words_are_refused():
    split(["seed=1"]).refuse_bare()
    with pytest.raises(UserError, match=r"'sed' is not understood.*KEY=VALUE"):
        split(["sed"]).refuse_bare()


@pytest.mark.parametrize("word", ["runs=x", "inputs=x", "rn=x"])
def test_a_key_that_is_nearly_the_commands_own_is_refused(word):
    with pytest.raises(UserError, match=r"is not understood\. Did you mean '(run|input)'"):
        split([word], "run", "input")


def test_keys_of_the_config_are_not_mistaken_for_own_keys():
    words = ["data=x", "name=x", "foo=x"]

    assert split(words, "date", "nam").overrides == words


def test_mistakes_are_found_without_hydra(monkeypatch):
    monkeypatch.setitem(sys.modules, "leyden.config.compose", None)  # cannot be imported

    with pytest.raises(UserError, match=r"runs=x is not understood. Did you mean 'run'"):
        split(["runs=x"], "run")

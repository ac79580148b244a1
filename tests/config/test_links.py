"""Links of frozen configs: followed as OmegaConf follows them, within limits that hold for all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from leyden.config.links import DEEPEST, LARGEST, follow_links, holds_only_links
from leyden.errors import UserError


def test_links_are_replaced_by_what_they_name() -> None:
    config = {"seed": 3, "name": "a", "net": {"width": 4, "depth": "${.width}", "up": "${..seed}"}}
    config |= {"task": {"net": "${net}", "text": "${name}-${seed}", "list": ["${net.width}"]}}
    config |= {"through": "${task.net.depth}", "first": "${task.list.0}"}

    followed = follow_links(config)

    net = {"width": 4, "depth": 4, "up": 3}
    assert followed["task"] == {"net": net, "text": "a-3", "list": [4]}
    assert followed["net"] == net
    assert (followed["through"], followed["first"]) == (4, 4)


NAMES = st.sampled_from("abc")
LINKS = st.builds(
    lambda dots, names: f"${{{'.' * dots}{'.'.join(names)}}}",
    st.integers(0, 3),
    st.lists(NAMES, min_size=1, max_size=3),
)
VALUES = st.one_of(st.integers(0, 9), st.booleans(), st.none(), NAMES, LINKS)
TREES = st.recursive(
    VALUES,
    lambda children: st.dictionaries(NAMES, children, max_size=3) | st.lists(children, max_size=2),
    max_leaves=12,
)


@given(st.dictionaries(NAMES, TREES, min_size=1))
def test_links_are_resolved_as_by_omegaconf(config: dict[str, Any]) -> None:
    try:
        followed = follow_links(config)
    except UserError:
        return
    try:
        expected = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    except (OmegaConfBaseException, RecursionError):
        return
    assert followed == expected


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:HOME}",
        "${oc.create:{a: 1}}",
        "${a.${b}}",
        r"\${a}",
        r"x\\${a}",
        "${a",
        "${a[0]}",
        "${}",
        "${ a }",
        "${a}${now:%Y}",
        "${${a}}",
    ],
)
def test_only_links_are_accepted(text: str) -> None:
    assert not holds_only_links(text)
    with pytest.raises(UserError, match=r"^b\.c contains .*only links"):
        follow_links({"a": [1], "b": {"c": text}})


def nested(levels: int) -> Any:
    return {} if levels == 0 else {"a": nested(levels - 1)}


def bomb(levels: int, leaf: str) -> dict[str, Any]:
    """Name ten times what names ten times ... the leaf."""
    links = {f"x{i}": [f"${{x{i - 1}}}"] * 10 for i in range(1, levels)}
    return {"x0": leaf, **links}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (nested(DEEPEST + 1), "levels deep"),
        (nested(300), "levels deep"),
        ({"a": "${b}", "b": "${a}"}, "in a circle"),
        ({"a": "${a}"}, "in a circle"),
        ({"a": {"b": "${a}"}}, "in a circle"),
        ({"a": "${a.b}"}, "in a circle"),
        ({f"x{i}": f"${{x{i - 1}}}" for i in range(1, 99)} | {"x0": 1}, "in a circle"),
        (bomb(9, "x"), "more than 1,000,000"),
        ({"a": "x" * (LARGEST + 1)}, "more than 1,000,000"),
        ({f"x{i}": f"${{x{i - 1}}}" * 10 for i in range(1, 9)} | {"x0": "x"}, "more than 1,000"),
        ({"a": [["x"] * 1001] * 1001}, "more than 1,000,000"),
        ({"a": "${b.c}", "b": {}}, r"^a has the link \$\{b\.c\} to a missing key"),
        ({"a": "${b.1}", "b": [1]}, "missing key"),
        ({"a": "${b.c}", "b": None}, "missing key"),
        ({"a": "${.....b}", "b": 1}, "above the top level"),
        ({"a": "x${b}", "b": []}, "into a text"),
        ({5: 6}, "key of type int"),
        ({"a": {float("nan"): 6}}, "^a has a key of type float"),
        ({"a": {None: 6}}, "key of type NoneType"),
        ({"a": b"x"}, "^a is a bytes"),
        ({"a": {1, 2}}, "a is a set"),
        ({"a": (1, 2)}, "a is a tuple"),
        ({"a": 10**5000}, "more than 64 bits"),
        ({"a": "\ud800"}, "not Unicode text"),
        ({"a\0": 1}, "null character"),
    ],
)
def test_configs_that_no_run_writes_are_refused(config: dict[Any, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        follow_links(config)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_the_deepest_config_is_read_by_omegaconf_too() -> None:
    config = nested(DEEPEST // 2) | {f"x{i}": f"${{x{i - 1}}}" for i in range(1, DEEPEST - 2)}
    config |= {"x0": 1}

    assert follow_links(config) == OmegaConf.to_container(OmegaConf.create(config), resolve=True)

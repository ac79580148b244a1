import sys
from functools import partial

import pytest
import torch
from omegaconf import OmegaConf

from leyden.config.build import build, build_all, call
from leyden.errors import UserError

EARLY = "lightning.pytorch.callbacks.EarlyStopping"


def test_a_node_becomes_its_object() -> None:
    config = OmegaConf.create({"p": 0.25, "layer": {"_target_": "torch.nn.Dropout", "p": "${p}"}})

    assert build(config, "layer").p == 0.25
    assert build(config, "layer", inplace=True).inplace


def test_a_partial_node_becomes_a_factory_of_plain_values() -> None:
    node = {"_target_": "torch.optim.Adam", "_partial_": True, "betas": [0.5, 0.6]}

    factory = build(OmegaConf.create({"optimizer": node}), "optimizer")

    assert isinstance(factory, partial)
    assert factory.func is torch.optim.Adam
    assert type(factory.keywords["betas"]) is list


def test_named_nodes_are_built_in_order_without_those_set_to_null() -> None:
    nodes = {"b": {"_target_": EARLY, "monitor": "x"}, "a": None}
    nodes |= {"c": {"_target_": EARLY, "monitor": "y"}}

    built = build_all(OmegaConf.create({"callbacks": nodes}), "callbacks")

    assert [callback.monitor for callback in built] == ["x", "y"]


@pytest.mark.parametrize("config", [{}, {"logger": None}, {"logger": {}}], ids=str)
def test_a_missing_key_holds_none(config: dict[str, None]) -> None:
    struct = OmegaConf.create(config)
    OmegaConf.set_struct(struct, value=True)

    assert build_all(struct, "logger") == []


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"_target_": "torch.nn.Dropout", "p": 2.0}, r"^part: dropout probability"),
        ({"_target_": "torch.nn.Dropout", "q": 2.0}, r"^part: .*unexpected keyword"),
        (
            {"_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "devices": 0},
            r"^part: .*devices",
        ),
    ],
)
def test_refused_values_are_the_users_to_mend(node: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(OmegaConf.create({"part": node}), "part")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.nn.missing", None)

    def needs() -> None:
        import torch.nn.missing  # noqa: F401

    monkeypatch.setattr("torch.nn.Dropout", needs)

    with pytest.raises(UserError, match=r"part needs a package that is not installed.*missing"):
        build(OmegaConf.create({"part": {"_target_": "torch.nn.Dropout"}}), "part")


def test_other_errors_are_bugs_and_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("torch.nn.Dropout", broken)

    with pytest.raises(Exception, match="ZeroDivisionError") as caught:
        build(OmegaConf.create({"part": {"_target_": "torch.nn.Dropout"}}), "part")

    assert not isinstance(caught.value, UserError)


@pytest.mark.parametrize("error", [ValueError, TypeError])
def test_a_factory_that_refuses_its_values_blames_its_config(error: type[Exception]) -> None:
    def factory(*, size: int) -> None:
        raise error(f"size {size} is too large")

    with pytest.raises(UserError, match=r"^network: size 3 is too large"):
        call("network", factory, size=3)


def test_a_factory_gives_its_object() -> None:
    assert call("network", dict, size=3) == {"size": 3}

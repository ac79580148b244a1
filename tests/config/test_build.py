import sys
from functools import partial

import pytest
import torch
from omegaconf import OmegaConf

from leyden.config.build import build, build_all, call, class_of
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


def test_links_are_resolved_before_arguments_are_added() -> None:
    """An argument does not change the values of links, which the check has seen."""
    config = {"choices": {"a": "torch.nn.ReLU", "b": "torch.nn.Tanh"}}
    config["net"] = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": "${.bias}"}
    config["net"] |= {"bias": 3}

    assert build(OmegaConf.create(config), "net", bias=False).out_features == 3


@pytest.mark.parametrize("argument", ["${oc.env:HOME}", "${nothing}", r"\${x}"])
def test_interpolations_in_arguments_are_not_evaluated(argument: str) -> None:
    node = {"_target_": EARLY, "monitor": "x"}

    assert build(OmegaConf.create({"a": node}), "a", monitor=argument).monitor == argument


def test_arguments_are_checked_with_the_node() -> None:
    config = OmegaConf.create({"net": {"_target_": "torch.nn.Sequential"}})

    with pytest.raises(UserError, match=r"'os\.system' is refused"):
        build(config, "net", _args_=[{"_target_": "os.system", "command": "true"}])


@pytest.mark.parametrize("target", ["os.system", "torch.load", "logging.FileHandler"])
def test_untrusted_targets_are_not_built_without_a_check_either(target: str) -> None:
    node = {"_target_": "torch.nn.Sequential", "_args_": [[{"_target_": target, "f": "x"}]]}

    with pytest.raises(UserError, match="is refused"):
        build(OmegaConf.create({"net": node}), "net")
    with pytest.raises(UserError, match="is refused"):
        class_of(OmegaConf.create({"net": {"_target_": target}}), "net")


def test_a_node_may_have_positional_arguments() -> None:
    relu = {"_target_": "torch.nn.ReLU"}
    nested = {"_target_": "torch.nn.Sequential", "_args_": [relu, relu]}

    built = build(
        OmegaConf.create({"net": {"_target_": "torch.nn.Linear", "_args_": [2, 3]}}), "net"
    )

    assert (built.in_features, built.out_features) == (2, 3)
    assert len(build(OmegaConf.create({"net": nested}), "net")) == 2


def test_arguments_of_a_node_that_is_not_recursive_are_not_built() -> None:
    node = {"_target_": "torch.optim.Adam", "_partial_": True, "_recursive_": False}
    relu = {"_target_": "torch.nn.ReLU"}

    assert build(OmegaConf.create({"o": node | {"lr": relu}}), "o").keywords == {"lr": relu}


def test_nodes_in_containers_are_built() -> None:
    node = {"_target_": "torchmetrics.MeanMetric", "_partial_": True, "_convert_": "none"}
    relu = {"_target_": "torch.nn.ReLU"}

    built = build(OmegaConf.create({"m": node | {"x": {"a": [relu], "b": 1}}}), "m").keywords["x"]

    assert type(built) is dict
    assert isinstance(built["a"][0], torch.nn.ReLU)
    assert built["b"] == 1


def test_a_target_of_another_class_is_refused() -> None:
    config = OmegaConf.create({"loss": {"_target_": "torch.nn.MSELoss"}})

    assert build(config, "loss", torch.nn.Module)
    with pytest.raises(
        UserError, match=r"^loss: expected a subclass of Optimizer, got torch\.nn\.MSELoss"
    ):
        build(config, "loss", torch.optim.Optimizer)


@pytest.mark.parametrize(
    "fault",
    [{"_partial_": "no"}, {"_args_": "ab"}, {"_recursive_": 1}, {"_convert_": None}],
    ids=str,
)
def test_the_types_of_hydras_keys_are_checked(fault: dict[str, object]) -> None:
    with pytest.raises(UserError, match=rf"^net\.{next(iter(fault))}: expected "):
        build(OmegaConf.create({"net": {"_target_": "torch.nn.ReLU"} | fault}), "net")


def test_named_nodes_are_built_in_order_without_those_set_to_null() -> None:
    nodes = {"b": {"_target_": EARLY, "monitor": "x"}, "a": None}
    nodes |= {"c": {"_target_": EARLY, "monitor": "y"}}

    built = build_all(OmegaConf.create({"callbacks": nodes}), "callbacks")

    assert [callback.monitor for callback in built] == ["x", "y"]


@pytest.mark.parametrize("config", [{}, {"logger": None}, {"logger": {}}], ids=str)
def test_a_missing_key_has_no_nodes(config: dict[str, None]) -> None:
    struct = OmegaConf.create(config)
    OmegaConf.set_struct(struct, value=True)

    assert build_all(struct, "logger") == []


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"_target_": "torch.nn.Dropout", "p": 2.0}, r"^part: dropout probability"),
        (
            {"_target_": "torch.nn.Dropout", "q": 2.0},
            r"^part\.q: .*takes no argument",
        ),
        (
            {"_target_": "lightning.pytorch.Trainer", "accelerator": "cpu", "devices": 0},
            r"^part: .*devices",
        ),
    ],
)
def test_errors_of_constructors_are_errors_of_the_user(
    node: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        build(OmegaConf.create({"part": node}), "part")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.nn.missing", None)

    def needs() -> None:
        import torch.nn.missing  # noqa: F401

    monkeypatch.setattr("torch.nn.modules.dropout.Dropout", needs)

    with pytest.raises(UserError, match=r"part needs a package that is not installed.*missing"):
        build(OmegaConf.create({"part": {"_target_": "torch.nn.Dropout"}}), "part")


def test_other_errors_are_not_converted(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("torch.nn.modules.dropout.Dropout", broken)

    with pytest.raises(ZeroDivisionError):
        build(OmegaConf.create({"part": {"_target_": "torch.nn.Dropout"}}), "part")


@pytest.mark.parametrize("error", [ValueError, TypeError])
def test_errors_of_factories_begin_with_the_key(error: type[Exception]) -> None:
    def factory(*, size: int) -> None:
        raise error(f"size {size} is too large")

    with pytest.raises(UserError, match=r"^network: size 3 is too large"):
        call("network", factory, size=3)


def test_call_returns_the_object() -> None:
    assert call("network", dict, size=3) == {"size": 3}

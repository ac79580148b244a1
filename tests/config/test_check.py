from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from leyden.config.check import check, check_paths
from leyden.config.nodes import target_nodes
from leyden.errors import UserError

ADAM = {"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.1}
TRAINER = "lightning.pytorch.Trainer"
STRATEGIES = "lightning.pytorch.strategies"
LOGGER = {"_target_": "lightning.pytorch.loggers.WandbLogger"}
STOPPING = {"_target_": "lightning.pytorch.callbacks.EarlyStopping", "monitor": "x"}


def test_valid_targets_pass() -> None:
    check(OmegaConf.create({"optimizer": ADAM, "loss": {"_target_": "torch.nn.MSELoss"}}))


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        ({"lr": "high"}, "callbacks.b.lr", r"^callbacks\.b\.lr: expected a float.*got 'high'"),
        ({"rate": 1.0}, "callbacks.b.rate", r"^callbacks\.b\.rate: .*no argument 'rate'"),
        ({"_target_": "torch.optim.Adem"}, "callbacks.b._target_", r"no 'Adem'.*'Adam'"),
        ({"_target_": "os.system"}, "callbacks.b._target_", r"'os\.system' is refused"),
        (
            {"_partial_": False},
            "callbacks.b._target_",
            r"lacks required arguments: set callbacks\.b\.params",
        ),
    ],
)
def test_messages_name_the_key_and_its_origin(
    change: dict[str, object], key: str, message: str
) -> None:
    asked = []

    def origin(key: str) -> str:
        asked.append(key)
        return "SOMEBODY"

    with pytest.raises(UserError, match=message) as caught:
        check(OmegaConf.create({"callbacks": {"b": ADAM | change}}), origin=origin)

    assert asked == [key]
    assert str(caught.value).endswith(" Set by SOMEBODY.")


def test_the_origin_of_a_link_is_that_of_its_value() -> None:
    config = OmegaConf.create({"rate": "high", "optimizer": ADAM | {"lr": "${rate}"}})

    with pytest.raises(UserError, match=r"^optimizer\.lr: .* Set by what set rate\.$"):
        check(config, origin=lambda key: f"what set {key}")


def test_values_behind_links_are_checked() -> None:
    config = OmegaConf.create({"rate": "high", "optimizer": ADAM | {"lr": "${rate}"}})

    with pytest.raises(UserError, match=r"optimizer\.lr: .*'high'"):
        check(config)


def test_linked_nodes_are_visited_once() -> None:
    links = {"task": {"_target_": "a", "slot": "${net}", "list": [{"_target_": "c"}]}}
    links |= {"net": {"_target_": "b"}}
    resolved = links | {"task": {**links["task"], "slot": {"_target_": "b"}}}

    nodes = {where: node for where, _, node in target_nodes(links, resolved)}

    assert list(nodes) == ["task", "task.list[0]", "net"]
    assert nodes["task"]["slot"] == {"_target_": "b"}


@pytest.mark.parametrize("key", ["data", "network", "loss"])
def test_classes_of_lightning_are_refused_elsewhere(key: str) -> None:
    nested = {"_target_": "torch.nn.Sequential", "_args_": [LOGGER]}

    with pytest.raises(UserError, match=r"WandbLogger is refused here.*trainer, callbacks, logger"):
        check(OmegaConf.create({key: nested}))
    check(OmegaConf.create({"trainer": {"_target_": TRAINER, "profiler": LOGGER}}))


@pytest.mark.parametrize(
    "config",
    [
        {"logger": {"w": LOGGER}},
        {"trainer": {"_target_": TRAINER, "profiler": LOGGER}},
        {"trainer": {"_target_": TRAINER, "strategy": {"_target_": f"{STRATEGIES}.XLAStrategy"}}},
        {"callbacks": {"c": {"_target_": "lightning.pytorch.callbacks.ModelCheckpoint"}}},
    ],
    ids=str,
)
def test_a_file_cannot_choose_classes_that_write_elsewhere(config: dict[str, Any]) -> None:
    asked = []

    def nobody(key: str, node: Any) -> bool:
        asked.append((key, node))
        return False

    with pytest.raises(UserError, match="may write outside the run folder or connect"):
        check(OmegaConf.create(config), is_chosen=nobody)

    assert len(asked) == 1
    check(OmegaConf.create(config), is_chosen=lambda key, node: True)  # noqa: ARG005


def test_a_file_can_choose_classes_that_write_to_the_run_folder() -> None:
    trainer = {"_target_": TRAINER, "strategy": {"_target_": f"{STRATEGIES}.DDPStrategy"}}
    config = OmegaConf.create({"trainer": trainer, "callbacks": {"stopping": STOPPING}})

    check(config, is_chosen=lambda key, node: False)  # noqa: ARG005


def test_filenames_stay_in_the_run_folder() -> None:
    history = {"_target_": "leyden.callbacks.history.MetricHistory", "monitor": "x", "mode": "min"}

    with pytest.raises(UserError, match=r"^callbacks\.mine\.filename: '/elsewhere' .* leads out"):
        check(OmegaConf.create({"callbacks": {"mine": history | {"filename": "/elsewhere"}}}))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"network": "${other}", "other": ADAM}, "network: expected a node with a _target_"),
        ({"trainer": None}, "trainer: expected a node with a _target_, got None"),
        ({"data": {"name": "x"}}, "data: expected a node"),
        ({"callbacks": [ADAM]}, "callbacks: expected named nodes"),
        ({"logger": {"x": 3}}, r"logger\.x: expected a node with a _target_ or null, got 3"),
        ({"callbacks": {"x": None, "y": {"z": 1}}}, r"^callbacks\.y: expected a node"),
        ({"trainer": {"_target_": TRAINER, "logger": False}}, r"trainer\.logger: a run fills"),
        ({"optimizer": ADAM | {"params": []}}, r"optimizer\.params: .* Leave it out"),
        ({"seed": "1"}, r"seed: expected int, got '1' \(str\)"),
        ({"seed": True}, "seed: expected int"),
        ({"monitor": ["x"]}, "monitor: expected str"),
        ({"name": None}, "name: expected str or int or float"),
        ({"name": ""}, "name: expected a name, got ''"),
        ({"name": "x/" + "é" * 101}, "^name: expected at most 200 bytes"),
        ({"data": {"_target_": "x", "name": "x" * 300}}, r"^data\.name: expected at most 200"),
        ({"trainer": {"_target_": TRAINER, "_partial_": True}}, "^trainer._partial_: expected fal"),
        (
            {"callbacks": {"x": STOPPING | {"_partial_": True}, "y": None}},
            "^callbacks.x._partial_: expected false",
        ),
        ({"seed": -1}, "^seed: expected 0 to 4294967295, got -1"),
        ({"seed": 2**32, "data": {"_target_": "x", "seed": "${seed}"}}, "^seed: expected 0 to"),
        ({"data": {"_target_": "x", "splitter": {"seed": -2}}}, r"^data\.splitter\.seed: expected"),
        ({"task": {"_target_": "x", "mix": "mixup"}}, r"^task\.mix: .* task/mix=OPTION: cutmix"),
        ({"sede": 1, "seed": 1}, "^sede: nothing takes this key. Did you mean 'seed'"),
        ({"lr": 1, "optimizer": ADAM}, "^lr: nothing takes this key. Did you mean 'optimizer.lr'"),
        ({"loss": {"_target_": "${y}"}, "y": "torch.nn.ReLU"}, r"loss._target_: .*got '\$\{y\}'"),
        ({"loss": {"_target_": ["torch.nn.ReLU"]}}, "got \\['torch.nn.ReLU'\\] \\(list\\)"),
    ],
)
def test_invalid_keys_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(OmegaConf.create(config))


def test_additional_keys_may_be_linked() -> None:
    check(OmegaConf.create({"rate": {"peak": 0.1}, "optimizer": ADAM | {"lr": "${rate.peak}"}}))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "flowers/rows.cvs",
            r"^data\.path: .*rows\.cvs does not exist\. Did you mean 'rows\.csv'\?",
        ),
        ("flower/rows.csv", r"Did you mean 'flowers'\? Set by SOMEBODY\.$"),
        ("nothing/like/it", r"it does not exist\. Set by"),
        ("x" * 5000, "does not exist"),
    ],
)
def test_paths_of_data_that_do_not_exist(path: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "flowers").mkdir()
    (tmp_path / "flowers" / "rows.csv").touch()

    def config(inner: str) -> Any:
        table = {"_target_": "leyden.data.image.table.ImageTable", "root": None}
        return OmegaConf.create({"data": {**table, "path": str(tmp_path / inner)}})

    check_paths(config("flowers/rows.csv"))
    with pytest.raises(UserError, match=message):
        check_paths(config(path), origin=lambda key: "SOMEBODY")  # noqa: ARG005

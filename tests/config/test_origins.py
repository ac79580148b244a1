import re
import sys
from pathlib import Path
from typing import Any

import pytest
from hydra.errors import HydraException

from leyden.config.compose import compose, to_plain
from leyden.config.origins import (
    composed_origin,
    convert_errors,
    frozen_origin,
    is_chosen,
)
from leyden.errors import UserError


def origin(key: str, *overrides: str) -> str:
    """Return the origin without its line."""
    return re.sub(r":\d+$", "", composed_origin(key, overrides=overrides))


@pytest.mark.parametrize(
    ("key", "overrides", "expected"),
    [
        ("optimizer.lr", ["optimizer.lr=1"], "the override optimizer.lr=1"),
        ("optimizer.lr", ["optimizer.lr=1", "seed=2"], "the override optimizer.lr=1"),
        ("optimizer.lr", ["optimizer.betas=[1,2]"], "conf/optimizer/adamw.yaml"),
        ("network.foo", ["+network.foo=1"], "the override +network.foo=1"),
        ("data.augment.shift", ["data.augment.shift.pixels=2"], "data.augment.shift.pixels=2"),
        ("data.augment.x.p", ["+data.augment.x={p: 1}"], "the override +data.augment.x={p: 1}"),
        ("network.dropout", ["network=mlp"], "conf/network/mlp.yaml"),
        ("trainer.max_epochs", ["trainer=cpu"], "conf/trainer/auto.yaml"),
        ("trainer.max_time", [], "conf/trainer/auto.yaml"),
        ("trainer.max_epochs", ["debug=smoke"], "conf/debug/smoke.yaml"),
        ("trainer.devices", ["debug=smoke"], "conf/trainer/auto.yaml"),
        ("callbacks.early_stopping.patience", [], "conf/callbacks/early_stopping.yaml"),
        ("callbacks.ema.decay", ["callbacks=[default,ema]"], "conf/callbacks/ema.yaml"),
        ("logger.tensorboard.name", [], "conf/logger/tensorboard.yaml"),
        ("task.mix.alpha", ["task/mix=cutmix"], "conf/task/mix/cutmix.yaml"),
        ("task.channels_last", [], "conf/task/_base.yaml"),
        ("data.num_workers", [], "conf/data/_base.yaml"),
        ("data.white", [], "conf/data/_image.yaml"),
        ("data.batch_size", [], "conf/data/digits.yaml"),
        ("seed", [], "conf/train.yaml"),
    ],
)
def test_origin_of_a_composed_key(key: str, overrides: list[str], expected: str) -> None:
    assert origin(key, *overrides).endswith(expected)


def test_experiment_comes_before_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("conf/experiment", "src/mine"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src/mine/__init__.py").touch()
    text = "# @package _global_\n# One of the user's own.\noptimizer:\n  lr: high\n"
    (tmp_path / "conf/experiment/mine.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])  # which gets the project's src/

    found = composed_origin("optimizer.lr", overrides=["experiment=mine"])

    assert found == "conf/experiment/mine.yaml:4"


def test_origin_of_a_frozen_key_is_an_override_or_the_runs_file() -> None:
    file = Path("runs/x/config.yaml")

    assert frozen_origin("seed", overrides=["seed=x"], path=file) == "the override seed=x"
    assert frozen_origin("seed", overrides=["name=x"], path=file) == str(file)


PROFILERS = "lightning.pytorch.profilers"
TENSORBOARD = to_plain(compose([]))["logger"]["tensorboard"]
SHIPPED = to_plain(compose(["logger=[wandb]"]))["logger"]["wandb"]
WANDB = {"_target_": "lightning.pytorch.loggers.WandbLogger", "project": "x"}


@pytest.mark.parametrize(
    ("key", "node", "overrides", "expected"),
    [
        ("logger.tensorboard", TENSORBOARD, [], True),
        ("logger.tensorboard", TENSORBOARD | {"save_dir": "/x"}, [], False),
        ("logger.other", TENSORBOARD, [], False),
        ("trainer.profiler", TENSORBOARD, [], False),
        ("trainer.profiler", {"_target_": f"{PROFILERS}.SimpleProfiler"}, [], True),
        ("trainer.profiler", {"_target_": f"{PROFILERS}.PyTorchProfiler"}, [], False),
        ("logger.wandb", SHIPPED | {"offline": True}, [], True),
        ("logger.wandb", SHIPPED | {"offline": "/x"}, [], False),
        ("logger.wandb", SHIPPED | {"log_model": True}, [], False),
        ("logger.wandb", WANDB, [], False),
        ("logger.wandb", WANDB, ["logger=[wandb]"], True),
        ("logger.wandb", WANDB, ["logger.wandb.project=x"], False),
        ("logger.wandb", WANDB, ["++logger.wandb={_target_: a.B}"], True),
        ("logger.wandb", WANDB, ["++logger.wandb={project: x}"], False),
        ("logger.wandb.x[0]", WANDB, ["++logger.wandb={_target_: a.B}"], True),
        ("trainer.profiler", WANDB, ["trainer=cpu"], True),
        ("trainer.profiler", WANDB, ["trainer.devices=1"], False),
    ],
)
def test_whether_the_user_has_chosen_a_node(
    key: str, node: dict[str, Any], overrides: list[str], *, expected: bool
) -> None:
    assert is_chosen(key, node, overrides=overrides) == expected


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["network=cn"], ["group network has no option 'cn'", "'cnn'", "conf/network/"]),
        (["nework=cnn"], ["nework=cnn names an unknown key", "'network'", "+nework="]),
        (["optimizer.lrr=1"], ["optimizer.lrr=1", "'optimizer.lr'"]),
        (["network.chanels=1"], ["unknown key. Did you mean 'network.channels'?"]),
        (["data.augment.shfit.pixels=1"], ["Did you mean 'data.augment.shift.pixels'?"]),
        (["optimizer.lr.x=1"], ["optimizer.lr.x=1 names an unknown key"]),
        (
            ["network=mlp", "network.channels=1"],
            ["network.channels=1 names an unknown key", " network.norm."],
        ),
        (["seed=[1"], ["seed=[1 cannot be parsed", "brackets and quotes"]),
        (["optimizer.zzz=1"], ["optimizer.zzz=1", "Known: ", " optimizer.lr, "]),
        (
            ["trainer.val_check_interval=7"],
            [
                "val_check_interval=7 adds a key that conf/ does",
                "write +trainer.val_check_interval=7",
            ],
        ),
        (
            ["data.augment=null", "data.augment.shift=null"],
            ["data.augment.shift=null sets a key that data.augment=null leaves out"],
        ),
        (
            ["callbacks=[]", "callbacks.summary=null"],
            ["callbacks.summary=null sets a key that callbacks=[] leaves out"],
        ),
        (
            ["task=regression", "task/mix=mixup"],
            ["task/mix=mixup needs task=classification: nothing else has the group task/mix"],
        ),
        (["~data", "data/splitter=kfold"], ["data/splitter=kfold needs", " or data=digits or "]),
        (["zzzzzz=1"], ["zzzzzz=1 names an unknown key", "Known: ", "optimizer", "seed"]),
    ],
)
def test_errors_of_hydra_are_converted(overrides: list[str], expected: list[str]) -> None:
    with pytest.raises(UserError) as caught, convert_errors(overrides):
        compose(overrides)

    message = str(caught.value)
    assert [text for text in expected if text not in message] == []
    assert "\n" not in message


def test_other_errors_of_hydra_keep_their_text_in_one_line() -> None:
    with pytest.raises(UserError, match=r"^first second$"), convert_errors([]):
        raise HydraException("first\n  second")


def test_errors_of_other_libraries_are_not_converted() -> None:
    with pytest.raises(ValueError, match=r"^x$"), convert_errors([]):
        raise ValueError("x")

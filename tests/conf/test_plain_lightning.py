"""All data sets and their tasks work with a plain trainer of Lightning."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer

from leyden.config.build import build
from leyden.config.compose import Config, compose, freeze
from leyden.data.base import DataModule
from leyden.errors import UserError
from leyden.workflows.assembly import build_data, build_task
from shipped import OPTIONS

pytestmark = pytest.mark.filterwarnings("ignore:The '.*_dataloader' does not have many workers")


@pytest.fixture(scope="module")
def data(kind: list[str]) -> DataModule:
    module = build_data(freeze(compose(kind)))
    module.prepare_data()
    module.setup("fit")
    return module


@pytest.fixture(scope="module")
def config(kind: list[str], data: DataModule) -> Config:
    """Return a config with the first network for this kind of data."""
    short = ["task.new_tokens=2"] if kind[0] in ("data=docstrings", "data=text_corpus") else []
    for network in OPTIONS["network"]:
        config = freeze(compose([*kind, *short, f"network={network}"]))
        try:
            build_task(config, data)
        except UserError:
            continue
        return config
    raise AssertionError(kind)


def trainer_in(folder: Path) -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_epochs=1,
        limit_train_batches=2,
        limit_val_batches=2,
        limit_test_batches=2,
        limit_predict_batches=2,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )


def as_plain(batches: Any) -> list[dict[str, list[Any]]]:
    return [dict(batch) for batch in batches]


def test_data_modules_and_loaders_are_accepted(
    tmp_path: Path, config: Config, data: DataModule
) -> None:
    task, trainer = build_task(config, data), trainer_in(tmp_path)

    trainer.fit(task, datamodule=data)

    for given in ({"datamodule": data}, {"dataloaders": data.val_dataloader()}):
        (validated,) = trainer.validate(task, verbose=False, **given)
    for given in ({"datamodule": data}, {"dataloaders": data.test_dataloader()}):
        (tested,) = trainer.test(task, verbose=False, **given)
        assert torch.tensor(tested["test/loss"]).isfinite()
    assert set(validated) == {name.replace("test/", "val/") for name in tested}
    assert as_plain(trainer.predict(task, datamodule=data)) == as_plain(
        trainer.predict(task, data.test_dataloader())
    )


def test_loaders_work_without_a_data_module(
    tmp_path: Path, config: Config, data: DataModule
) -> None:
    task, trainer = build_task(config, data), trainer_in(tmp_path)

    trainer.fit(task, data.train_dataloader(), data.val_dataloader())

    assert trainer.callback_metrics["val/loss"].isfinite()
    assert trainer.global_step > 0


def test_a_checkpoint_of_the_trainer_is_loaded(
    tmp_path: Path, config: Config, data: DataModule
) -> None:
    task, trainer = build_task(config, data), trainer_in(tmp_path)
    trainer.fit(task, datamodule=data)
    trainer.save_checkpoint(tmp_path / "plain.ckpt")
    factory = build(config, "task")

    loaded = type(task).load_from_checkpoint(
        tmp_path / "plain.ckpt", spec=data.spec, **factory.keywords
    )

    state = loaded.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in task.state_dict().items())

from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from leyden.batch import Batch, DataSpec
from leyden.errors import UserError
from leyden.losses.focal import FocalLoss
from leyden.optim.schedules import constant
from leyden.tasks.regression import Regression

MEAN, STD = 500_000.0, 20.0


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, numbers):
        return numbers * self.weight


class Prices(LightningDataModule):
    """Noisy standardised prices as inputs, the prices as targets, in batches of uneven size."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.batches = []
        for rows in (40, 40, 7):
            standard = torch.randn(rows, generator=generator)
            noisy = standard + 0.3 * torch.randn(rows, generator=generator)
            inputs = {"numbers": noisy.unsqueeze(1)}
            targets = standard * STD + MEAN
            self.batches.append(Batch(inputs, targets, torch.arange(rows), 0))

    def train_dataloader(self):
        return DataLoader(self.batches, batch_size=None)

    test_dataloader = train_dataloader


def task_of(loss=None, targets=None, **sizes):
    return Regression(
        spec=DataSpec(
            network_sizes=sizes, targets=targets or {"kind": "number", "mean": MEAN, "std": STD}
        ),
        network=Scale,
        loss=loss or nn.MSELoss(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
        scheduler=constant,
    )


@pytest.fixture
def trainer(tmp_path):
    return Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )


def test_metrics_are_in_the_unit_of_the_target(trainer):
    data = Prices()
    (metrics,) = trainer.test(task_of(), datamodule=data, verbose=False)

    targets = torch.cat([batch.targets for batch in data.batches]).numpy()
    inputs = torch.cat([batch.inputs["numbers"] for batch in data.batches])
    predicted = (inputs.squeeze(1) * STD + MEAN).numpy()
    errors = (predicted - targets).astype(np.float64)
    assert metrics["test/mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-3)
    assert metrics["test/rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-3)
    assert metrics["test/r2"] == pytest.approx(1 - errors.var() / targets.var(), abs=1e-3)


def test_the_loss_is_that_of_standardised_numbers():
    (batch, *_) = Prices().batches
    standard = (batch.targets - MEAN) / STD

    loss, _ = task_of().step(batch, "train")

    expected = (batch.inputs["numbers"].squeeze(1) - standard).square().mean()
    torch.testing.assert_close(loss, expected)


def test_predictions_are_in_the_unit_of_the_target():
    predicted = task_of().predictions(torch.tensor([[0.0], [1.5]]))

    assert predicted == {"value": [MEAN, MEAN + 1.5 * STD]}


def test_predictions_have_the_precision_of_the_targets():
    centred = {"kind": "number", "centre": 1_600_000_000.0, "mean": 0.0, "std": 3600.0}
    task = task_of(targets=centred)

    assert task.predictions(torch.tensor([[1.0], [0.1]])) == {"value": [1600003600.0, 1600000360.0]}


def test_a_constant_target_is_predicted():
    task = task_of(targets={"kind": "number", "mean": 3.0, "std": 0.0})

    assert task.predictions(torch.zeros(1, 1)) == {"value": [3.0]}


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.HuberLoss(), nn.L1Loss(), nn.SmoothL1Loss()])
def test_accepts_losses_of_numbers(loss):
    assert task_of(loss).step(Prices().batches[0], "train").mean.isfinite()


@pytest.mark.parametrize(
    "loss", [nn.CrossEntropyLoss(label_smoothing=0.1), FocalLoss(), nn.BCEWithLogitsLoss()]
)
def test_refuses_losses_of_classes(loss):
    with pytest.raises(UserError, match="loss=mse"):
        task_of(loss)


@pytest.mark.parametrize("kind", ["class", "labels"])
def test_refuses_targets_that_are_not_numbers(kind):
    with pytest.raises(ValueError, match=r"data\.target_type=number"):
        task_of(targets={"kind": kind, "counts": [1, 2]})


def test_targets_may_be_measured_from_a_centre():
    task = task_of(targets={"kind": "number", "centre": 2.0**40, "mean": 0.0, "std": 1.0})
    batch = Batch({"numbers": torch.ones(1, 1)}, torch.ones(1), torch.arange(1), 0)

    assert task.step(batch, "train").mean == 0
    assert task.predictions(torch.ones(1, 1)) == {"value": [2.0**40 + 1]}

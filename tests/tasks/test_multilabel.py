from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from leyden.batch import Batch, DataSpec
from leyden.errors import UserError
from leyden.optim.schedules import constant
from leyden.tasks.multilabel import Multilabel

NAMES = ("cough", "fever", "pain")


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, numbers):
        return numbers * self.weight


class Symptoms(LightningDataModule):
    """Noisy logits of labels, in batches of uneven size."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.batches = []
        for rows in (40, 40, 7):
            targets = torch.rand(rows, 3, generator=generator) < torch.tensor([0.2, 0.5, 0.7])
            logits = 2.0 * targets - 1 + torch.randn(rows, 3, generator=generator)
            self.batches.append(
                Batch({"numbers": logits}, targets.to(torch.uint8), torch.arange(rows), 0)
            )

    def test_dataloader(self):
        return DataLoader(self.batches, batch_size=None)


def task_of(loss=None, names=NAMES, kind="labels", **options):
    return Multilabel(
        spec=DataSpec(network_sizes={}, class_names=names, targets={"kind": kind}),
        network=Scale,
        loss=loss or nn.BCEWithLogitsLoss(),
        optimizer=partial(torch.optim.SGD, lr=0.1),
        scheduler=constant,
        **options,
    )


@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_metrics_agree_with_their_definitions(tmp_path, threshold, f1, auroc):
    data = Symptoms()
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    (metrics,) = trainer.test(task_of(threshold=threshold), datamodule=data, verbose=False)

    targets = torch.cat([batch.targets for batch in data.batches]).numpy()
    probabilities = torch.cat([b.inputs["numbers"] for b in data.batches]).sigmoid().numpy()
    predicted = probabilities >= threshold
    expected = {
        "exact_match": (targets == predicted).all(axis=1).mean(),
        "f1": f1(targets, predicted).mean(),
        "auroc": np.average(auroc(targets, probabilities), weights=targets.sum(axis=0)),
    }
    for name, value in expected.items():
        assert metrics[f"test/{name}"] == pytest.approx(value, abs=1e-5), name


def test_the_loss_treats_labels_independently():
    (batch, *_) = Symptoms().batches

    loss, _ = task_of().step(batch, "train")

    probabilities = batch.inputs["numbers"].sigmoid().numpy()
    targets = batch.targets.numpy()
    expected = -np.log(np.where(targets, probabilities, 1 - probabilities)).mean()
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_predictions_name_the_labels_and_their_probabilities():
    predicted = task_of().predictions(torch.tensor([[9.0, -9.0, 9.0], [-9.0, -9.0, -9.0]]))

    assert predicted["labels"] == ["cough;pain", ""]
    assert predicted["probability of fever"] == pytest.approx([0, 0], abs=1e-3)
    assert predicted["probability of pain"] == pytest.approx([1, 0], abs=1e-3)


def test_refuses_losses_of_classes_that_exclude_each_other():
    with pytest.raises(UserError, match="loss=bce"):
        task_of(nn.CrossEntropyLoss())


@pytest.mark.parametrize(("names", "kind"), [(NAMES, "class"), ((), "number"), (("a",), "labels")])
def test_refuses_other_targets(names, kind):
    with pytest.raises(ValueError, match="two labels or more"):
        task_of(names=names, kind=kind)

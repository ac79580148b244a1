from functools import partial

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from leyden.batch import Batch, DataSpec
from leyden.losses.focal import FocalLoss
from leyden.optim.schedules import constant
from leyden.tasks.classification import Classification
from leyden.tasks.mixing import CutMix, Mixup

NAMES = ("ant", "bee", "cow")
SIZES = (40, 40, 7)


class Echo(nn.Module):
    """Returns its input as logits, times a trainable factor of 1."""

    def __init__(self, *, num_outputs, confidence=1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_outputs))
        self.confidence = confidence

    def forward(self, images):
        return images.flatten(1) * self.scale * self.confidence


class Batches(LightningDataModule):
    """Noisy logits of their targets, in batches of uneven size."""

    def __init__(self, present=(0, 1, 2)):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.batches = []
        for number, rows in enumerate(SIZES):
            drawn = torch.randint(len(present), (rows,), generator=generator)
            targets = torch.tensor(present)[drawn]
            logits = torch.randn(rows, 3, generator=generator)
            logits[torch.arange(rows), targets] += 1
            inputs = {"images": logits.view(rows, 3, 1, 1)}
            self.batches.append(
                Batch(inputs=inputs, targets=targets, rows=torch.arange(rows), seed=number)
            )

    @property
    def logits(self):
        return torch.cat([batch.inputs["images"].flatten(1) for batch in self.batches])

    @property
    def targets(self):
        return torch.cat([batch.targets for batch in self.batches])

    def train_dataloader(self):
        return DataLoader(self.batches, batch_size=None)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


def task_of(*, confidence=1.0, loss=None, lr=0.0, spec=None, **options):
    return Classification(
        spec=spec or DataSpec(network_sizes={"num_outputs": 3}, class_names=NAMES),
        network=partial(Echo, confidence=confidence),
        loss=loss or nn.CrossEntropyLoss(),
        optimizer=partial(torch.optim.SGD, lr=lr),
        scheduler=constant,
        **options,
    )


def trainer_of(tmp_path, **options):
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    return Trainer(
        **quiet | {"accelerator": "cpu", "max_epochs": 1, "default_root_dir": tmp_path} | options
    )


def fitted(tmp_path, task, data, **options):
    trainer = trainer_of(tmp_path, num_sanity_val_steps=0, **options)
    trainer.fit(task, datamodule=data)
    return {name: value.item() for name, value in trainer.callback_metrics.items()}


@pytest.fixture
def measured(f1, auroc):
    """Return a function that computes all metrics by their definitions."""

    def of(data, *, confidence=1.0):
        logits, targets = (data.logits * confidence).double(), data.targets
        members = nn.functional.one_hot(targets, 3).numpy().astype(bool)
        guesses = nn.functional.one_hot(logits.argmax(dim=1), 3).numpy()
        present = members.any(axis=0)
        areas = auroc(members[:, present], logits.softmax(dim=1).numpy()[:, present])
        return {
            "loss": nn.functional.cross_entropy(logits, targets).item(),
            "accuracy": (members & (guesses == 1)).sum() / len(targets),
            "f1": f1(members, guesses).mean(),
            "auroc": np.average(areas, weights=members[:, present].sum(axis=0)),
        }

    return of


def near(figures, stage):
    return {f"{stage}/{name}": pytest.approx(value, abs=1e-5) for name, value in figures.items()}


def test_training_logs_metrics_that_equal_their_definitions(tmp_path, measured):
    data = Batches()

    logged = fitted(tmp_path, task_of(), data)

    expected = measured(data)
    assert logged == near(expected, "val") | near({"loss": expected["loss"]}, "train")


def test_testing_logs_metrics_that_equal_their_definitions(tmp_path, measured):
    data = Batches()

    logged = trainer_of(tmp_path).test(task_of(), datamodule=data, verbose=False)[0]

    assert logged == near(measured(data), "test")


@pytest.mark.parametrize("confidence", [0.5, 3.0, 6.0])
def test_the_auroc_does_not_depend_on_the_confidence(tmp_path, confidence, measured):
    data = Batches()

    logged = trainer_of(tmp_path).test(
        task_of(confidence=confidence), datamodule=data, verbose=False
    )

    assert logged[0] == near(measured(data, confidence=confidence), "test")


def test_a_class_without_rows_is_left_out(tmp_path, measured):
    data = Batches(present=(0, 2))

    logged = trainer_of(tmp_path).test(task_of(), datamodule=data, verbose=False)[0]

    assert logged == near(measured(data), "test")


@pytest.mark.parametrize("mix", [Mixup(alpha=1.0), CutMix()])
def test_only_training_rows_are_mixed(tmp_path, mix, measured):
    data = Batches()
    wide = [batch.inputs["images"].view(-1, 1, 3, 1) for batch in data.batches]
    data.batches = [
        batch._replace(inputs={"images": images})
        for batch, images in zip(data.batches, wide, strict=True)
    ]

    logged = fitted(tmp_path, task_of(mix=mix), data)

    losses = []
    for batch in data.batches:
        inputs, targets = mix(batch.inputs, batch.targets, num_classes=3, seed=batch.seed)
        logits = inputs["images"].flatten(1)
        losses.append(nn.functional.cross_entropy(logits, targets) * len(batch.rows))
    expected = sum(losses).item() / len(data.targets)
    assert logged["train/loss"] == pytest.approx(expected, rel=1e-5)
    assert logged["val/loss"] == pytest.approx(measured(data)["loss"], rel=1e-5)
    assert expected != pytest.approx(measured(data)["loss"], rel=1e-2)


def test_a_loss_of_torch_is_used(tmp_path):
    data = Batches()

    logged = fitted(tmp_path, task_of(loss=nn.MultiMarginLoss()), data)

    expected = nn.functional.multi_margin_loss(data.logits, data.targets).item()
    assert logged["val/loss"] == pytest.approx(expected, rel=1e-5)


def test_predictions_are_class_names_and_probabilities(tmp_path):
    data = Batches()

    columns = trainer_of(tmp_path).predict(task_of(), datamodule=data)

    probability, index = data.logits.softmax(dim=1).max(dim=1)
    classes = [name for batch in columns for name in batch["class"]]
    probabilities = [value for batch in columns for value in batch["probability"]]
    assert classes == [NAMES[i] for i in index.tolist()]
    assert probabilities == pytest.approx(probability.tolist())
    assert [len(batch["class"]) for batch in columns] == list(SIZES)


def test_metrics_are_not_in_the_state():
    assert list(task_of().state_dict()) == ["network.scale"]


def test_half_precision_logits_give_float32_probabilities():
    got = task_of().predictions(torch.tensor([[1.0, 2.0, 4.0]], dtype=torch.bfloat16))

    expected = torch.tensor([1.0, 2.0, 4.0]).softmax(dim=0).max().item()
    assert got == {"class": ["cow"], "probability": [pytest.approx(expected)]}


def counted(*counts):
    return DataSpec(
        network_sizes={"num_outputs": 3},
        class_names=NAMES,
        targets={"kind": "class", "counts": list(counts)},
    )


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss, partial(FocalLoss, gamma=0.0)])
@pytest.mark.parametrize(
    ("class_weights", "expected"),
    [("balanced", [4 / 3, 2 / 3, 4 / 3]), ([1, 0, 2.5], [1, 0, 2.5]), (None, [1, 1, 1])],
)
def test_class_weights_weight_the_loss(loss, class_weights, expected):
    (batch, *_) = Batches().batches
    task = task_of(spec=counted(10, 20, 10), loss=loss(), class_weights=class_weights)

    got, divisor = task.step(batch, "train")

    weight = torch.tensor(expected, dtype=torch.float32)
    logits = batch.inputs["images"].flatten(1)
    torch.testing.assert_close(
        got, nn.functional.cross_entropy(logits, batch.targets, weight=weight)
    )
    assert float(divisor) == pytest.approx(weight[batch.targets].sum().item())


def test_a_class_without_rows_has_a_finite_weight():
    task = task_of(spec=counted(10, 0, 10), class_weights="balanced")

    assert task.loss.weight.isfinite().all()


@pytest.mark.parametrize("class_weights", [[1, 2], [1, 2, -3]])
def test_invalid_class_weights_are_refused(class_weights):
    with pytest.raises(ValueError, match="ant, bee, cow"):
        task_of(class_weights=class_weights)


def test_class_weights_need_a_loss_that_supports_them():
    with pytest.raises(ValueError, match="loss=cross_entropy"):
        task_of(loss=nn.functional.cross_entropy, class_weights=[1, 2, 3])


@pytest.mark.parametrize(("kind", "task"), [("number", "regression"), ("labels", "multilabel")])
def test_other_targets_are_refused_with_their_task(kind, task):
    with pytest.raises(ValueError, match=f"task={task}"):
        task_of(spec=DataSpec(network_sizes={}, targets={"kind": kind}))

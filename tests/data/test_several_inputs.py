"""A batch of several raw inputs: an image beside columns, without a change of the base."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn

from leyden.batch import as_tensors
from leyden.data.base import DataModule
from leyden.data.image.augment import Flip
from leyden.data.image.cleaning import ImageCleaning
from leyden.data.image.module import NormaliseImages
from leyden.data.rows import Rows
from leyden.data.text.cleaning import TextCleaning
from leyden.errors import UserError
from leyden.testing.data_contract import DataContract

ROWS = 64


class Standardise(nn.Module):
    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, values):
        return (values - self.mean) / self.std


class Jitter:
    field = "ages"

    def __call__(self, ages, generator):
        return ages + torch.rand(ages.shape, generator=generator)


class Patients(DataModule):
    """A scan and two numbers for each patient."""

    cleaning: ImageCleaning
    cleaning_type = ImageCleaning
    input_names: ClassVar = {"ages": "numbers"}

    def source_settings(self):
        return {"rows": ROWS}

    def read(self):
        generator = np.random.default_rng(0)
        yield Rows(
            arrays={
                "images": generator.integers(0, 256, (ROWS, 1, 4, 4), dtype=np.uint8),
                "ages": generator.normal(50, 20, (ROWS, 2)).astype(np.float32),
            },
            targets=np.array(["ill", "well"] * (ROWS // 2)),
            split="all",
            sources=[str(row) for row in range(ROWS)],
        )

    def fit(self, arrays, rows):
        ages = torch.from_numpy(arrays["ages"][rows])
        pixels = torch.from_numpy(arrays["images"][rows]) / 255
        return {
            "pixels": [pixels.mean().view(1), pixels.std().view(1)],
            "ages": [ages.mean(dim=0), ages.std(dim=0)],
        }

    def normalisation(self):
        mean, std = self.statistics["pixels"]
        return {
            "images": NormaliseImages(mean=mean, std=std),
            "ages": Standardise(*self.statistics["ages"]),
        }

    def network_sizes(self):
        return {"input_shape": (1, 4, 4), "num_numbers": 2, "num_outputs": 2}


class TwoInputs(LightningModule):
    def __init__(self):
        super().__init__()
        self.pixels, self.numbers = nn.Linear(16, 2), nn.Linear(2, 2)

    def forward(self, images, numbers):
        return self.pixels(images.flatten(1)) + self.numbers(numbers)

    def training_step(self, batch, _):
        return nn.functional.cross_entropy(self(**batch.inputs), batch.targets)

    def validation_step(self, batch, _):
        self(**batch.inputs)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def patients(**options):
    return Patients(**{"name": "patients", "batch_size": 8} | options)


def ready(**options):
    data = patients(**options)
    data.prepare_data()
    data.setup()
    return data


def fit(network, data, tmp_path):
    trainer = Trainer(
        max_epochs=1,
        num_sanity_val_steps=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(network, datamodule=data)


class TestPatients(DataContract):
    def make(self, **options):
        return patients(**{"augment": {"flip": Flip(), "jitter": Jitter()}} | options)


def test_a_network_of_two_inputs_learns_from_both(tmp_path):
    network = TwoInputs()
    before = {name: weight.clone() for name, weight in network.named_parameters()}

    fit(network, ready(), tmp_path)

    assert not any(weight.equal(before[name]) for name, weight in network.named_parameters())


def test_every_field_is_normalised_by_its_own_module():
    data = ready()
    raw = data.dataset(data.cached)[0, torch.from_numpy(data.row_numbers("train"))].inputs

    inputs = data.network_inputs(raw)

    assert set(inputs) == {"images", "numbers"}
    for values in inputs.values():
        assert values.mean().item() == pytest.approx(0, abs=1e-3)
        assert values.std().item() == pytest.approx(1, abs=0.02)
    fields = {"images": np.full((2, 1, 4, 4), 255, np.uint8), "ages": np.zeros((2, 2))}
    assert data.network_inputs(as_tensors(fields))["numbers"].shape == (2, 2)


def test_an_augmentation_of_a_field_that_is_not_there_is_refused_by_name(tmp_path):
    data = ready(augment={"flip": Flip(field="image")})

    with pytest.raises(UserError, match=r"flip changes the field 'image'.*Did you mean 'images'"):
        fit(TwoInputs(), data, tmp_path)


def test_an_augmentation_without_a_field_is_refused():
    with pytest.raises(TypeError, match=r"augmentation noise: expected an object .* field"):
        patients(augment={"noise": lambda values, _: values})


def test_the_cleaning_steps_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="cleaning: expected a value of type ImageCleaning, got Te"):
        patients(cleaning=TextCleaning())

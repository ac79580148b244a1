from copy import deepcopy

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from leyden.callbacks.weight_averaging import StochasticWeightAveraging
from leyden.errors import UserError


class Module(LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))

    def forward(self, inputs):
        return self.network(inputs)

    def training_step(self, batch, batch_idx):  # noqa: ARG002
        return self(batch[0]).square().mean()

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


class Seen(Callback):
    """Keeps the trained and the validated weights of every epoch."""

    def __init__(self):
        self.trained, self.validated = [], []

    def on_train_batch_end(self, trainer, pl_module, *_):
        if trainer.is_last_batch:
            self.trained.append(deepcopy(pl_module.network.state_dict()))

    def on_validation_batch_start(self, trainer, pl_module, *_):  # noqa: ARG002
        self.validated.append(deepcopy(pl_module.network.state_dict()))


@pytest.fixture
def rows():
    return torch.randn(24, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def fit(tmp_path, rows):
    def fitted(callback, epochs=4):
        seen = Seen()
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            callbacks=[seen, callback],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=tmp_path,
        )
        module = Module()
        loader = DataLoader(TensorDataset(rows), batch_size=8)
        trainer.fit(module, loader, DataLoader(TensorDataset(rows), batch_size=24))
        return module, seen

    return fitted


WEIGHTS = ("0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias")


def test_the_weights_of_the_last_epochs_are_averaged(fit):
    module, seen = fit(StochasticWeightAveraging(swa_epoch_start=2))

    for name in WEIGHTS:
        assert torch.equal(seen.validated[0][name], seen.trained[0][name])
        for epoch in (1, 2, 3):
            mean = torch.stack([each[name] for each in seen.trained[1 : epoch + 1]]).mean(dim=0)
            torch.testing.assert_close(seen.validated[epoch][name], mean)
        assert torch.equal(module.network.state_dict()[name], seen.validated[-1][name])


def test_batch_norms_have_the_statistics_of_the_average(fit, rows):
    module, seen = fit(StochasticWeightAveraging(swa_epoch_start=2))

    hidden = module.network[0](rows)
    torch.testing.assert_close(module.network[1].running_mean, hidden.mean(dim=0))
    assert torch.equal(module.network[1].running_mean, seen.validated[-1]["1.running_mean"])


def test_averaging_does_not_change_training(fit):
    _, averaged = fit(StochasticWeightAveraging(swa_epoch_start=2))
    _, plain = fit(Callback())

    for one, other in zip(averaged.trained, plain.trained, strict=True):
        assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(("start", "epochs", "first"), [(0.5, 4, 2), (0.8, 10, 8), (0.0, 2, 0)])
def test_a_fraction_selects_the_first_averaged_epoch(fit, start, epochs, first):
    callback = StochasticWeightAveraging(swa_epoch_start=start)

    fit(callback, epochs=epochs)

    assert callback.first_epoch == first
    assert callback._average_model.n_averaged == epochs - first


@pytest.mark.parametrize("start", [0, -1, 1.0, 1.5])
def test_a_start_that_is_neither_epoch_nor_fraction_is_refused(start):
    with pytest.raises(ValueError, match="swa_epoch_start"):
        StochasticWeightAveraging(swa_epoch_start=start)


@pytest.mark.parametrize(("start", "epochs"), [(5, 4)])
def test_a_start_after_the_last_epoch_is_refused(fit, start, epochs):
    with pytest.raises(UserError, match="is not an epoch of"):
        fit(StochasticWeightAveraging(swa_epoch_start=start), epochs=epochs)

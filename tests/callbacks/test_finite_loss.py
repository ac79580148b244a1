"""Training on rows of which one gives a loss that is not finite."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, Dataset

from leyden.callbacks.finite_loss import FiniteLoss, RollbackError
from leyden.callbacks.idle_hooks import remove_idle_hooks
from leyden.errors import UserError
from leyden.tasks.base import MeanLoss

BROKEN = 21
PASSED_BY = "ignore:.training_step. returned .None."


class Rows(Dataset):
    def __init__(self, broken):
        self.values = torch.arange(40.0).unsqueeze(1) / 40
        if broken is not None:
            self.values[broken] = float("nan")

    def __getitem__(self, rows):
        return SimpleNamespace(values=self.values[rows], rows=torch.tensor(rows))


class Line(LightningModule):
    def __init__(self, broken):
        super().__init__()
        torch.manual_seed(0)
        self.broken = broken
        self.network = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1))
        self.train_loss = MeanLoss()

    def training_step(self, batch, batch_idx):  # noqa: ARG002
        loss = self.network(batch.values).square().mean()
        self.train_loss.update(loss.detach(), len(batch.rows))
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    def train_dataloader(self):
        batches = [list(range(start, start + 4)) for start in range(0, 40, 4)]
        return DataLoader(Rows(self.broken), sampler=batches, batch_size=None)


class PassingBy(Line):
    def training_step(self, batch, batch_idx):
        return super().training_step(batch, batch_idx) if batch_idx % 2 else None


class ByHand(Line):
    """Optimises manually and does not return its loss."""

    automatic_optimization = False

    def training_step(self, batch, batch_idx):
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(super().training_step(batch, batch_idx))
        optimizer.step()


def fit(tmp_path, callback, broken=BROKEN, kind=Line, **options):
    module = kind(broken)
    remove_idle_hooks(callback, module)
    trainer = Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
        callbacks=[callback],
        **options,
    )
    trainer.fit(module)
    return module, trainer


@pytest.mark.parametrize("check_every", [1, 4, 50])
@pytest.mark.parametrize("kind", [Line, PassingBy, ByHand])
@pytest.mark.filterwarnings(PASSED_BY)
def test_the_step_and_its_rows_are_named(tmp_path, check_every, kind):
    with pytest.raises(UserError, match=r"epoch 0, batch 5, rows 20, 21, 22, 23\).*on_nan=skip"):
        fit(tmp_path, FiniteLoss(check_every=check_every), kind=kind)


@pytest.mark.filterwarnings(PASSED_BY)
def test_a_step_that_returns_none_is_ignored(tmp_path):
    module, trainer = fit(tmp_path, FiniteLoss(), broken=24, kind=PassingBy)

    assert trainer.global_step == 10
    assert module.train_loss.weight == 20


def test_finite_rows_pass(tmp_path):
    module, _ = fit(tmp_path, FiniteLoss(), broken=None)

    assert module.train_loss.compute().isfinite()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_broken_batch_is_skipped_without_a_trace(tmp_path, accumulate):
    module, _ = fit(tmp_path, FiniteLoss(on_nan="skip"), accumulate_grad_batches=accumulate)

    assert all(value.isfinite().all() for value in module.state_dict().values())
    assert module.train_loss.compute().isfinite()
    assert module.train_loss.weight == 36


def test_a_rollback_names_the_batch_and_the_next_attempt_skips_it(tmp_path):
    with pytest.raises(RollbackError) as caught:
        fit(tmp_path, FiniteLoss(on_nan="rollback"))

    callback = FiniteLoss(on_nan="rollback")
    callback.load_state_dict({"left_out": [[caught.value.step.epoch, caught.value.step.batch]]})
    module, _ = fit(tmp_path, callback)

    skipped, _ = fit(tmp_path, FiniteLoss(on_nan="skip"))
    for name, value in skipped.state_dict().items():
        assert torch.equal(value, module.state_dict()[name]), name


def test_non_finite_weights_are_never_saved(tmp_path):
    module, trainer = fit(tmp_path, FiniteLoss(), broken=None)
    with torch.no_grad():
        module.network[1].bias.fill_(float("inf"))

    with pytest.raises(UserError, match="some weights are not finite"):
        trainer.save_checkpoint(tmp_path / "a.ckpt")

    assert not (tmp_path / "a.ckpt").exists()

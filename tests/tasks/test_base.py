from copy import deepcopy
from functools import partial

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer
from torch import nn
from torch.utils.data import DataLoader
from torchmetrics import MetricCollection
from torchmetrics.regression import MeanAbsoluteError

from leyden.batch import Batch, DataSpec
from leyden.errors import UserError
from leyden.networks.cnn import CNN
from leyden.optim.schedules import constant, linear
from leyden.tasks.base import BatchLoss, MeanLoss, Task

SPEC = DataSpec(network_sizes={"input_shape": (1, 4, 4), "num_outputs": 1})
NORM = {"gradient_clip_val": 0.5}
VALUE = NORM | {"gradient_clip_algorithm": "value"}
BF16 = "bf16-mixed"
SIZES = (8, 8, 3)
"""Rows of each batch; the last batch is smaller."""


class Line(nn.Module):
    def __init__(self, *, input_shape, num_outputs):
        super().__init__()
        self.layer = nn.Linear(input_shape[1] * input_shape[2], num_outputs)

    def forward(self, images):
        return self.layer(images.flatten(1))


class Regression(Task):
    """Shortest possible task."""

    def __init__(self, **options):
        metrics = MetricCollection({"mae": MeanAbsoluteError()})
        super().__init__(spec=SPEC, metrics=metrics, **options)

    def step(self, batch, stage):
        predicted = self(batch.inputs).squeeze(1)
        self.update_metrics(stage, predicted, batch.targets)
        loss = nn.functional.mse_loss(predicted, batch.targets)
        return BatchLoss(loss, len(predicted))

    def predictions(self, logits):
        return {"value": logits.squeeze(1).tolist()}


class Batches(LightningDataModule):
    def __init__(self, sizes=SIZES):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.batches = [
            Batch(
                inputs={"images": torch.randn(rows, 1, 4, 4, generator=generator)},
                targets=torch.randn(rows, generator=generator) * 3,
                rows=torch.arange(rows),
                seed=number,
            )
            for number, rows in enumerate(sizes)
        ]

    def train_dataloader(self):
        return DataLoader(self.batches, batch_size=None)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader


class History(Callback):
    def __init__(self):
        self.epochs = []

    def on_train_epoch_end(self, trainer, _):
        self.epochs.append({k: v.item() for k, v in trainer.callback_metrics.items()})


def task_of(*, lr=0.0, network=Line, scheduler=constant, **options):
    torch.manual_seed(0)
    optimizer = partial(torch.optim.SGD, lr=lr)
    return Regression(network=network, optimizer=optimizer, scheduler=scheduler, **options)


@pytest.mark.parametrize("kind", [torch.optim.Rprop, torch.optim.SparseAdam, torch.optim.Adagrad])
def test_an_optimizer_need_not_support_weight_decay(kind):
    task = Regression(network=Line, optimizer=kind, scheduler=constant)
    task.trainer = Trainer(accelerator="cpu", logger=False, max_epochs=1)

    optimizer = task.configure_optimizers()["optimizer"]

    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


def test_a_lazy_network_is_built_by_configure_model():
    expected = task_of().state_dict()
    task = task_of(lazy_network=True)
    assert not list(task.parameters())

    with torch.device("meta"):
        task.configure_model()

    assert all(each.is_meta for each in task.parameters())
    assert task.state_dict().keys() == expected.keys()
    network = task.network
    task.configure_model()
    assert task.network is network


def trainer_of(tmp_path, **options):
    quiet = dict.fromkeys(
        ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False
    )
    return Trainer(
        **quiet
        | {"accelerator": "cpu", "max_epochs": 1, "default_root_dir": tmp_path}
        | {"num_sanity_val_steps": 0}
        | options
    )


def fitted(tmp_path, task, data=None, **options):
    history = History()
    trainer_of(tmp_path, callbacks=[history], **options).fit(task, datamodule=data or Batches())
    return history.epochs


@torch.no_grad()
def errors_of(task, data):
    return torch.cat([task(b.inputs).squeeze(1) - b.targets for b in data.batches])


def test_losses_and_metrics_are_means_over_rows(tmp_path):
    task, data = task_of(), Batches()

    logged = fitted(tmp_path, task, data)[0]

    errors = errors_of(task, data)
    assert logged == {
        "train/loss": pytest.approx(errors.square().mean().item(), rel=1e-5),
        "val/loss": pytest.approx(errors.square().mean().item(), rel=1e-5),
        "val/mae": pytest.approx(errors.abs().mean().item(), rel=1e-5),
    }


def test_the_test_stage_logs_under_its_own_name(tmp_path):
    task, data = task_of(), Batches()

    logged = trainer_of(tmp_path).test(task, datamodule=data, verbose=False)[0]

    errors = errors_of(task, data)
    assert logged == {
        "test/loss": pytest.approx(errors.square().mean().item(), rel=1e-5),
        "test/mae": pytest.approx(errors.abs().mean().item(), rel=1e-5),
    }


def test_every_epoch_resets_losses_and_metrics(tmp_path):
    first, second = fitted(tmp_path, task_of(), max_epochs=2)

    assert first == second


def test_a_sanity_check_does_not_change_the_metrics(tmp_path):
    checked, unchecked = (
        fitted(tmp_path, task_of(), num_sanity_val_steps=steps) for steps in (1, 0)
    )

    assert checked == unchecked


@pytest.mark.parametrize(
    "options", [{"limit_train_batches": 2}, {"overfit_batches": 1}, {"max_steps": 2}]
)
def test_a_shortened_epoch_logs_its_loss(tmp_path, options):
    task, data = task_of(), Batches()
    rows = next(iter(options.values())) * SIZES[0]

    fitted(tmp_path, task, data, **options)

    expected = errors_of(task, data)[:rows].square().mean().item()
    assert task.trainer.callback_metrics["train/loss"].item() == pytest.approx(expected, rel=1e-5)


def test_only_the_last_training_step_logs(tmp_path, monkeypatch):
    calls = []
    log = Task.log

    def counted(self, name, *args, **kwargs):
        calls.append((self.trainer.global_step, name))
        return log(self, name, *args, **kwargs)

    monkeypatch.setattr(Task, "log", counted)
    data = Batches(sizes=(4,) * 10)

    fitted(tmp_path, task_of(), data, limit_val_batches=0)

    assert [name for _, name in calls] == ["train/loss"]


def test_training_learns(tmp_path):
    epochs = fitted(tmp_path, task_of(lr=0.05), max_epochs=20)

    assert epochs[-1]["val/loss"] < 0.7 * epochs[0]["val/loss"]


@pytest.mark.parametrize(
    ("clip", "precision"), [({}, "32-true"), (NORM, "32-true"), (NORM, BF16), (VALUE, BF16)]
)
def test_an_epoch_equals_a_loop_by_hand(tmp_path, clip, precision):
    task, data = task_of(), Batches()
    task.optimizer = partial(torch.optim.SGD, lr=0.05, fused=True)
    line = deepcopy(task.network)
    optimizer = torch.optim.SGD(line.parameters(), lr=0.05)

    fitted(tmp_path, task, data, precision=precision, **clip)

    for batch in data.batches:
        with torch.autocast("cpu", enabled=precision == BF16):
            predicted = line(batch.inputs["images"]).squeeze(1)
        optimizer.zero_grad()
        nn.functional.mse_loss(predicted, batch.targets).backward()
        if clip == NORM:
            assert nn.utils.clip_grad_norm_(line.parameters(), 0.5) > 0.5
        elif clip == VALUE:
            nn.utils.clip_grad_value_(line.parameters(), 0.5)
        optimizer.step()
    for ours, by_hand in zip(task.network.parameters(), line.parameters(), strict=True):
        torch.testing.assert_close(ours, by_hand)


def test_the_schedule_has_the_length_of_the_run(tmp_path):
    task = task_of(lr=0.1, scheduler=partial(linear, final_fraction=0.25))

    fitted(tmp_path, task, max_epochs=20, accumulate_grad_batches=3)

    rate = task.trainer.optimizers[0].param_groups[0]["lr"]
    assert task.trainer.global_step == 20
    assert rate == pytest.approx(0.025)


def test_a_run_without_an_end_can_have_a_constant_schedule(tmp_path):
    task = task_of(scheduler=constant)

    fitted(tmp_path, task, max_epochs=-1, max_time={"seconds": 0})

    assert task.trainer.optimizers


@pytest.mark.filterwarnings("ignore:.*script_method.* is deprecated")  # torch.compile's own use
@pytest.mark.parametrize("option", [{}, {"channels_last": True}, {"compile_network": True}])
def test_options_keep_the_names_of_the_state(option):
    task = task_of(network=partial(CNN, channels=(4, 4)), **option)

    assert list(task.state_dict()) == [
        f"network.{name}" for name in CNN(**SPEC.network_sizes, channels=(4, 4)).state_dict()
    ]


def test_channels_last_reaches_weights_and_images():
    seen = []
    task = task_of(network=partial(CNN, channels=(4, 4)), channels_last=True)
    task.network.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(inputs["images"]), with_kwargs=True
    )
    images = torch.randn(2, 3, 4, 4)
    plain = task_of(network=partial(CNN, channels=(4, 4)))

    got = task({"images": images[:, :1]})

    last = {"memory_format": torch.channels_last}
    assert seen[0].is_contiguous(**last)
    kernels = [p for p in task.network.parameters() if p.dim() == 4]
    assert all(kernel.stride(1) == 1 for kernel in kernels)  # including that of one channel
    assert torch.allclose(got, plain({"images": images[:, :1]}), atol=1e-5)


def test_a_channels_last_state_loads_into_a_channels_first_network():
    last, first = (
        task_of(network=partial(CNN, channels=(4, 4)), channels_last=on) for on in (True, False)
    )

    first.load_state_dict(last.state_dict())

    images = torch.randn(2, 1, 4, 4)
    assert torch.allclose(last.eval()({"images": images}), first.eval()({"images": images}))


def test_predictions_come_batch_by_batch(tmp_path):
    task, data = task_of(), Batches()

    columns = trainer_of(tmp_path).predict(task, datamodule=data)

    assert [len(each["value"]) for each in columns] == list(SIZES)


def test_a_mean_loss_weights_batches_by_their_rows():
    mean = MeanLoss()

    mean.update(torch.tensor(1.0), 3)
    mean.update(torch.tensor(5.0), 1)

    assert mean.compute() == 2.0
    assert mean.compute().dtype == torch.float32


def test_a_mean_loss_stays_exact_over_many_batches():
    mean = MeanLoss()

    for _ in range(2000):
        mean.update(torch.tensor(1 / 3), 100)

    assert mean.compute().item() == pytest.approx(1 / 3, rel=1e-6)


def test_a_schedule_of_torch_is_used_directly(tmp_path):
    task = task_of(lr=0.1, scheduler=partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.5))

    fitted(tmp_path, task, max_epochs=2)

    assert task.trainer.optimizers[0].param_groups[0]["lr"] == 0.025  # once per epoch


def test_a_schedule_of_torch_gets_the_length_of_the_run(tmp_path):
    cycle = partial(torch.optim.lr_scheduler.OneCycleLR, max_lr=0.1, cycle_momentum=False)
    for schedule, total in ((cycle, 2 * len(SIZES)), (partial(cycle, total_steps=9), 9)):
        task = task_of(lr=0.1, scheduler=schedule)
        fitted(tmp_path, task, max_epochs=2)
        (config,) = task.trainer.lr_scheduler_configs
        assert config.scheduler.total_steps == total
        assert config.scheduler.last_epoch == 2 * len(SIZES)  # once per step


def test_a_plateau_schedule_of_torch_is_refused(tmp_path):
    task = task_of(scheduler=partial(torch.optim.lr_scheduler.ReduceLROnPlateau, factor=0.5))

    with pytest.raises(UserError, match=r"scheduler=plateau"):
        fitted(tmp_path, task)


class OwnOptimizer(Regression):
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_schedule_that_would_be_ignored_is_refused(tmp_path):
    options = {"network": Line, "optimizer": partial(torch.optim.SGD, lr=0.1)}

    with pytest.raises(UserError, match=r"OwnOptimizer.configure_optimizers ignores the scheduler"):
        fitted(tmp_path, OwnOptimizer(scheduler=partial(linear), **options))

    fitted(tmp_path, OwnOptimizer(scheduler=constant, **options))


def test_a_rule_splits_the_parameters(tmp_path):
    def rule(module):
        return [{"params": [each], "lr": 0.1 / each.ndim} for each in module.parameters()]

    task = task_of(lr=1.0, parameter_groups=rule)

    fitted(tmp_path, task)

    assert [group["lr"] for group in task.trainer.optimizers[0].param_groups] == [0.05, 0.1]


def test_a_parameter_in_no_group_is_refused(tmp_path):
    task = task_of(parameter_groups=lambda module: [{"params": [module.layer.weight]}])

    with pytest.raises(UserError, match=r"parameter_groups: .* layer\.bias is in none"):
        fitted(tmp_path, task)


@pytest.mark.parametrize("values", [{"lr": -1}, {"lr": 0.1, "nesterov": True}, {"unknown": 1}])
def test_invalid_arguments_of_an_optimizer_are_a_user_error(tmp_path, values):
    task = task_of()
    task.optimizer = partial(torch.optim.SGD, **values)

    with pytest.raises(UserError, match=r"^optimizer: "):
        fitted(tmp_path, task)


def test_a_schedule_without_a_length_is_a_user_error(tmp_path):
    task = task_of(scheduler=linear)

    with pytest.raises(UserError, match=r"^scheduler: .*trainer.max_epochs"):
        fitted(tmp_path, task, max_epochs=-1)


def test_modes_of_all_metrics():
    better = {"loss": "min", "mae": "min"}

    assert task_of().modes == {
        "train/loss": "min",
        **{f"{stage}/{name}": mode for stage in ("val", "test") for name, mode in better.items()},
    }


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
def test_targets_keep_their_digits_at_any_precision(tmp_path, precision):
    task, data = task_of(), Batches()
    targets = torch.cat([batch.targets for batch in data.batches])
    seen = []
    update = task.update_metrics
    task.update_metrics = lambda stage, predicted, given: (
        seen.append(given),
        update(stage, predicted, given),
    )

    trainer_of(tmp_path, precision=precision).test(task, datamodule=data, verbose=False)

    assert torch.equal(torch.cat(seen), targets)
    assert next(task.parameters()).dtype == (torch.float64 if "64" in precision else torch.bfloat16)

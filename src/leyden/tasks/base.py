"""The base task: everything but the loss and the metrics."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from inspect import signature
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.plugins import MixedPrecision, Precision
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import GradClipAlgorithmType
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_leaves
from torchmetrics import Metric, MetricCollection

from leyden.batch import Batch, DataSpec
from leyden.errors import UserError
from leyden.monitor import Mode, mode_of
from leyden.optim.parameter_groups import parameter_groups
from leyden.optim.schedules import ScheduleConfig, constant, schedule_of
from leyden.tasks.metrics import MeanLoss

Stage = Literal["train", "val", "test"]
STAGES: tuple[Stage, ...] = ("train", "val", "test")
MEASURED: tuple[Stage, ...] = ("val", "test")
PLAIN = frozenset({str, int, float, bool, type(None)})

REFUSALS = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What optimizers and schedules raise for values that they do not accept."""


class BatchLoss(NamedTuple):
    """Mean loss of a batch.

    Attributes:
        mean: ``()``, floating.
        weight: What the sum over the batch was divided by: its rows, its tokens, or the sum of the
            class weights of its targets. An epoch's loss is the mean weighted by it.
    """

    mean: Tensor
    weight: Tensor | int


class Task(LightningModule, ABC):
    """A network with what is needed to train and measure it.

    A task declares ``step`` (the loss of a batch; it updates the stage's metrics) and
    ``predictions`` (what is told about a row outside training). Losses and metrics are gathered
    on the device and logged once an epoch as ``<stage>/<name>``: logging each step costs as much
    as a small network's whole step.

    Args:
        spec: sizes and class names of the data.
        metrics: of validation and test; given by the subclass.
        network: builds the network from the spec's sizes.
        optimizer: builds the optimizer from parameter groups.
        scheduler: builds the schedule from the optimizer and the run's number of steps.
        channels_last: keep weights and images in channels-last memory, which 2-d convolutions
            gain from on CPUs and GPUs.
        compile_network: compile the network in place, so that checkpoints keep their names.
        lazy_network: leave the network to ``configure_model``, which the trainer calls where its
            strategy wants it: for networks that no device holds whole.
    """

    network: nn.Module

    def __init__(
        self,
        *,
        spec: DataSpec,
        metrics: MetricCollection,
        network: Callable[..., nn.Module],
        optimizer: Callable[[list[dict[str, Any]]], Optimizer],
        scheduler: Callable[..., ScheduleConfig],
        channels_last: bool = False,
        compile_network: bool = False,
        lazy_network: bool = False,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.make_network = partial(network, **spec.network_sizes)
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.compile_network = compile_network
        if not lazy_network:
            self.configure_model()
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.losses = nn.ModuleDict({f"{stage}_loss": MeanLoss() for stage in STAGES})
        self.metrics = nn.ModuleDict({f"{stage}_metrics": metrics.clone() for stage in MEASURED})

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a plain attribute at once: the trainer does so some forty times a step.

        A module's own way looks for parameters, buffers and modules of that name and type first.
        """
        if type(value) in PLAIN and name in self.__dict__:
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def configure_model(self) -> None:
        """Build the network, once."""
        if hasattr(self, "network"):
            return
        self.network = self.make_network()
        for parameter in self.network.parameters():
            if parameter.dim() == 4:
                # contiguous() would leave the strides of a kernel of one channel as they are, and
                # the convolution would take all maps behind it for channels first.
                parameter.data = parameter.data.to(memory_format=self.memory_format)
        if self.compile_network:
            self.network.compile()

    @abstractmethod
    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the mean loss of a batch and update the metrics of the stage."""

    @property
    def modes(self) -> dict[str, Mode | None]:
        """Whether lower or higher values are better, for each metric by its logged name."""
        modes: dict[str, Mode | None] = {f"{stage}/loss": "min" for stage in STAGES}
        for stage in MEASURED:
            metrics = self.metrics[f"{stage}_metrics"]
            assert isinstance(metrics, MetricCollection)
            for name, metric in metrics.items(copy_state=False):
                higher = metric.higher_is_better
                modes[f"{stage}/{name}"] = None if higher is None else ("min", "max")[higher]
        return modes

    def setup(self, stage: str) -> None:
        """Keep the trainer from rounding raw batches to the precision of the network.

        Targets and raw inputs would lose digits before they are normalised; ``forward`` casts
        what is left.
        """
        self.trainer.precision_plugin.convert_input = _unchanged  # type: ignore[method-assign, assignment]
        _attach_data(self, stage)

    def teardown(self, stage: str) -> None:  # noqa: ARG002  # Lightning's signature
        """Restore the trainer's own backward pass for other modules."""
        vars(self.trainer.precision_plugin).pop("convert_input", None)

    def on_fit_start(self) -> None:
        """Refuse a schedule that would be ignored.

        Raises:
            UserError: If a subclass configures optimizers without the schedule that it was given.
        """
        scheduler = getattr(self.scheduler, "func", self.scheduler)
        if not self.trainer.lr_scheduler_configs and scheduler is not constant:
            raise UserError(
                f"{type(self).__name__}.configure_optimizers ignores the scheduler. Let it return "
                "the lr_scheduler of Task.configure_optimizers, or choose scheduler=constant."
            )

    def update_metrics(self, stage: Stage, predicted: Any, targets: Any) -> None:
        """Count a batch in the metrics of its stage; training has none but its loss."""
        if stage in MEASURED:
            gathered = self.metrics[f"{stage}_metrics"]
            assert isinstance(gathered, MetricCollection)
            gathered.update(predicted, targets)

    @abstractmethod
    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Turn logits ``(batch, ...)`` into columns of plain values, one value a row."""

    def predict(self, inputs: Mapping[str, Tensor]) -> Mapping[str, list[Any]]:
        """Predict rows, as columns of one value a row; a task that takes turns has its own way."""
        return self.predictions(self(inputs))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Run the network on normalised inputs."""
        return self.network(  # type: ignore[no-any-return]
            **{name: self._in_memory_format(value) for name, value in inputs.items()}
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Compute the loss that is minimised; the last batch logs the epoch's mean.

        Callbacks see the end of an epoch before this module does, so that would be too late.
        """
        loss = self._measured_step(batch, "train")
        if self.trainer.is_last_batch:
            self._log_stage("train", on_step=False, on_epoch=True, batch_size=len(batch.rows))
        return loss

    # Lightning asks for it at each step, and finding it out anew takes longer than a small layer.
    training_step.__signature__ = signature(training_step)  # type: ignore[attr-defined]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Measure a validation batch."""
        self._measured_step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Measure a test batch."""
        self._measured_step(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Mapping[str, list[Any]]:  # noqa: ARG002
        """Predict one batch."""
        return self.predict(batch.inputs)

    def on_train_epoch_end(self) -> None:
        """Log the loss of an epoch that ended before its last batch, by max_steps or a callback.

        Of the callbacks, only those of the class ``Checkpoint`` come after this.
        """
        gathered = self.losses["train_loss"]
        assert isinstance(gathered, MeanLoss)
        if gathered.update_called:
            self._log_stage("train")

    def on_validation_epoch_end(self) -> None:
        """Log the epoch's validation loss and metrics."""
        self._log_stage("val")

    def on_test_epoch_end(self) -> None:
        """Log the test loss and metrics."""
        self._log_stage("test")

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Build the optimizer over decaying and non-decaying parameters, and its schedule.

        Raises:
            UserError: If one of them refuses its values.
        """
        groups = parameter_groups(self.network)
        with _refusals_of("optimizer"):
            optimizer = self.optimizer(groups)
            if not any(group.get("weight_decay") for group in optimizer.param_groups):
                # Nothing decays: one group, and so one kernel, does for all.
                optimizer = self.optimizer([{"params": [p for g in groups for p in g["params"]]}])
        with _refusals_of("trainer"):
            steps = self.trainer.estimated_stepping_batches
        with _refusals_of("scheduler"):
            schedule = self._schedule(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": schedule}  # type: ignore[typeddict-item]

    def _schedule(self, optimizer: Optimizer, steps: float) -> ScheduleConfig:
        factory = self.scheduler
        keywords = getattr(factory, "keywords", {})
        if "monitor" in keywords and "mode" in signature(factory).parameters:
            mode = mode_of(self.trainer, keywords["monitor"], keywords.get("mode"))
            factory = partial(factory, mode=mode)
        schedule = schedule_of(factory, optimizer, total_steps=steps)
        if schedule.get("monitor", "").startswith("val/") and schedule["interval"] == "epoch":
            # An epoch without validation has no new value to compare.
            schedule["frequency"] *= self.trainer.check_val_every_n_epoch or 1
        return schedule

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Advance the schedule.

        Raises:
            UserError: If it is over, as one whose own length is shorter than the run.
        """
        try:
            super().lr_scheduler_step(scheduler, metric)
        except ValueError as error:
            raise UserError(f"scheduler: {error}") from error

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:  # noqa: ARG002
        """Forget the gradients; what torch records around its own way costs more than this."""
        if type(optimizer).zero_grad is not Optimizer.zero_grad:
            optimizer.zero_grad()
            return
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def clip_gradients(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients, in mixed bfloat16 for fused optimizers too.

        Lightning refuses those, since they scale gradients back as they step, which they do in
        float16 alone; and it goes a long way to clip nothing.
        """
        limit = self.trainer.gradient_clip_val if gradient_clip_val is None else gradient_clip_val
        if not limit:
            return
        plugin = self.trainer.precision_plugin
        if isinstance(plugin, MixedPrecision) and plugin.scaler is None:
            algorithm = gradient_clip_algorithm or self.trainer.gradient_clip_algorithm or "norm"
            Precision.clip_gradients(plugin, optimizer, limit, GradClipAlgorithmType(algorithm))
        else:
            super().clip_gradients(optimizer, limit, gradient_clip_algorithm)

    def _in_memory_format(self, value: Tensor) -> Tensor:
        if value.is_floating_point():
            value = value.to(self.dtype)
        return value.contiguous(memory_format=self.memory_format) if value.dim() == 4 else value

    def _measured_step(self, batch: Batch, stage: Stage) -> Tensor:
        loss, weight = self.step(batch, stage)
        gathered = self.losses[f"{stage}_loss"]
        assert isinstance(gathered, MeanLoss)
        if gathered.update_called:
            # What torchmetrics wraps around an update costs more than this one, and is needed once.
            MeanLoss.update(gathered, loss.detach(), weight)
        else:
            gathered.update(loss.detach(), weight)
        return loss

    def _log_stage(self, stage: Stage, **how: Any) -> None:
        """Log what the stage has gathered, and begin anew."""
        values = {f"{stage}/loss": _drain(self.losses[f"{stage}_loss"])}
        if stage in MEASURED:
            metrics: dict[str, Tensor] = _drain(self.metrics[f"{stage}_metrics"])
            values |= {f"{stage}/{name}": value for name, value in metrics.items()}
        # The values are the same on every rank already; Lightning wants to be told so.
        self.log_dict(values, sync_dist=True, **how)


def _drain(gathered: nn.Module) -> Any:
    assert isinstance(gathered, Metric | MetricCollection)
    value = gathered.compute()
    gathered.reset()
    return value


def _attach_data(task: Task, stage: str) -> None:
    """Attach the data module of a loader that the trainer was handed alone.

    Batches are normalised by a hook of the data module, which Lightning calls on its own only where
    it was handed the data module itself.
    """
    loop = getattr(task.trainer, f"{TrainerFn(stage).value}_loop")
    for loader in tree_leaves(loop._data_source.instance):  # noqa: SLF001
        data = getattr(loader, "data", None)
        if isinstance(data, LightningDataModule):
            task.trainer._data_connector.attach_datamodule(task, data)  # noqa: SLF001


def _unchanged(batch: Any) -> Any:
    return batch


@contextmanager
def _refusals_of(key: str) -> Iterator[None]:
    """Blame a key of the config for values that its object refuses."""
    try:
        yield
    except REFUSALS as error:
        raise UserError(f"{key}: {error}") from error

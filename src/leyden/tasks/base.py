"""The base class of tasks: a LightningModule without a loss, which subclasses compute."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from inspect import signature
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import Metric, MetricCollection

from leyden.batch import Batch, DataSpec
from leyden.errors import UserError
from leyden.monitor import Mode, mode_of
from leyden.optim.parameter_groups import ParameterGroups, check_groups, decay_matrices
from leyden.optim.schedules import ScheduleConfig, constant, schedule_of
from leyden.tasks.averaging import Averaging
from leyden.tasks.metrics import MeanLoss
from leyden.tasks.trainer_fixes import (
    attach_data,
    cast_batches_again,
    clip_unscaled,
    clips_in_bfloat16,
    keep_batches_exact,
)

Stage = Literal["train", "val", "test"]
STAGES: tuple[Stage, ...] = ("train", "val", "test")
MEASURED: tuple[Stage, ...] = ("val", "test")
"""Stages that compute metrics beside the loss."""

REFUSALS = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What optimizers and schedules raise for values that they do not accept."""


class BatchLoss(NamedTuple):
    """Mean loss of a batch.

    Attributes:
        mean: ``()``, floating.
        weight: What the sum over the batch was divided by: its rows, its tokens, or the sum of the
            class weights of its targets; ``()`` if a tensor. The loss of an epoch is the mean of
            its batches, weighted by it.
    """

    mean: Tensor
    weight: Tensor | int


class Task(LightningModule, ABC):
    """A network with its loss, metrics, optimizer and schedule.

    A subclass implements ``step``, which computes the loss of a batch, and ``predictions``, which
    turns logits into columns that a person reads. Losses and metrics are accumulated on the device
    and logged once an epoch as ``<stage>/<name>``, because logging each step takes as long as a
    step of a small network.

    Args:
        spec: Sizes and class names of the data.
        metrics: Metrics of validation and test; each stage gets a copy.
        network: Builds the network from the sizes in ``spec``.
        optimizer: Builds the optimizer from parameter groups.
        scheduler: Builds the schedule from the optimizer and the number of steps of the run.
        parameter_groups: Splits the parameters of the network into groups for the optimizer.
        channels_last: Keep weights and images in channels-last memory, in which 2-d convolutions
            are faster on CPUs and GPUs.
        compile_network: Compile the network in place, so that names in checkpoints stay.
        lazy_network: Leave building the network to ``configure_model``, which the trainer calls
            when its strategy is set up: for networks that do not fit on one device.
    """

    network: nn.Module

    predicts_targets: ClassVar[bool] = True
    """Whether predictions estimate the targets of rows, and so can be compared with them."""

    every_probability = False
    """Whether predictions have a column for the probability of each class."""

    def __init__(
        self,
        *,
        spec: DataSpec,
        metrics: MetricCollection,
        network: Callable[..., nn.Module],
        optimizer: Callable[[list[dict[str, Any]]], Optimizer],
        scheduler: Callable[..., ScheduleConfig],
        parameter_groups: ParameterGroups = decay_matrices,
        channels_last: bool = False,
        compile_network: bool = False,
        lazy_network: bool = False,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.make_network = partial(network, **spec.network_sizes)
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.parameter_groups = parameter_groups
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self.compile_network = compile_network
        if not lazy_network:
            self.configure_model()
        self.losses = nn.ModuleDict({f"{stage}_loss": MeanLoss() for stage in STAGES})
        self.metrics = nn.ModuleDict({f"{stage}_metrics": metrics.clone() for stage in MEASURED})

    @abstractmethod
    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the mean loss of a batch, and update the metrics of the stage.

        Args:
            batch: Normalised ``inputs`` by the argument names of the network, ``(batch, ...)``
                each, and ``targets`` as ``Batch`` describes them, ``(batch,)`` or
                ``(batch, ...)``. ``self(batch.inputs)`` returns the logits ``(batch, ...)``.
            stage: ``train``, ``val`` or ``test``; ``update_metrics`` ignores ``train``.
        """

    @abstractmethod
    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Convert logits ``(batch, ...)`` to named columns of ``batch`` plain values each."""

    def predict(self, inputs: Mapping[str, Tensor]) -> Mapping[str, list[Any]]:
        """Predict a batch in one forward pass; a task that needs several overrides this.

        Args:
            inputs: Normalised inputs, ``(batch, ...)`` each.

        Returns:
            Named columns of ``batch`` plain values each.
        """
        return self.predictions(self(inputs))

    def averaging(self, specs: Sequence[DataSpec]) -> Averaging:  # noqa: ARG002
        """Return the function that averages the outputs of an ensemble of networks.

        Args:
            specs: Spec of the data of each network, in the order of the outputs. The average is an
                output for this task's own spec.

        Raises:
            UserError: Outputs of such networks cannot be averaged.
        """
        raise UserError(
            f"{type(self).__name__} does not say how outputs of several networks are averaged. "
            "Override Task.averaging."
        )

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Map normalised inputs, ``(batch, ...)`` each, to logits ``(batch, ...)``."""
        return self.network(  # type: ignore[no-any-return]
            **{name: self._to_network(value) for name, value in inputs.items()}
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002
        """Return the loss to minimise; the last batch logs the mean of the epoch.

        The trainer ends the epoch of its callbacks before that of this module, and they read the
        logged loss.
        """
        loss = self._accumulated_step(batch, "train")
        if self.trainer.is_last_batch:
            self._log_stage("train", on_step=False, on_epoch=True, batch_size=len(batch.rows))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Accumulate the loss and the metrics of a validation batch."""
        self._accumulated_step(batch, "val")

    def test_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Accumulate the loss and the metrics of a test batch."""
        self._accumulated_step(batch, "test")

    def predict_step(self, batch: Batch, batch_idx: int) -> Mapping[str, list[Any]]:  # noqa: ARG002
        """Predict a batch."""
        return self.predict(batch.inputs)

    def on_train_epoch_end(self) -> None:
        """Log the loss of an epoch that ended before its last batch, by max_steps or a callback.

        Of all callbacks, only ``Checkpoint`` and its subclasses are called after this.
        """
        accumulated = self.losses["train_loss"]
        assert isinstance(accumulated, MeanLoss)
        if accumulated.update_called:
            self._log_stage("train")

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the metrics of the validation split."""
        self._log_stage("val")

    def on_test_epoch_end(self) -> None:
        """Log the loss and the metrics of the test split."""
        self._log_stage("test")

    def update_metrics(self, stage: Stage, predicted: Any, targets: Any) -> None:
        """Add a batch to the metrics of its stage; training has none beside its loss.

        Args:
            stage: Stage of the batch.
            predicted: What the metrics compare with the targets, ``(batch, ...)``.
            targets: ``(batch, ...)``.
        """
        if stage in MEASURED:
            metrics = self.metrics[f"{stage}_metrics"]
            assert isinstance(metrics, MetricCollection)
            metrics.update(predicted, targets)

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

    def configure_model(self) -> None:
        """Build the network, unless that is done."""
        if hasattr(self, "network"):
            return
        self.network = self.make_network()
        for parameter in self.network.parameters():
            if parameter.dim() == 4:
                # contiguous() would keep the strides of a kernel of one channel, and the
                # convolution would take all later maps for channels first.
                parameter.data = parameter.data.to(memory_format=self.memory_format)
        if self.compile_network:
            self.network.compile()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Build the optimizer and its schedule.

        Raises:
            UserError: If a trainable parameter is in no group, or if the optimizer or the schedule
                refuses its values.
        """
        groups = self.parameter_groups(self.network)
        check_groups(groups, self.network)
        with _refusals_of("optimizer"):
            optimizer = self.optimizer(groups)
        with _refusals_of("trainer"):
            steps = self.trainer.estimated_stepping_batches
        with _refusals_of("scheduler"):
            schedule = self._schedule(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": schedule}  # type: ignore[typeddict-item]

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

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Advance the schedule.

        Raises:
            UserError: If the schedule has ended, because its own length is shorter than the run.
        """
        try:
            super().lr_scheduler_step(scheduler, metric)
        except ValueError as error:
            raise UserError(f"scheduler: {error}") from error

    def setup(self, stage: str) -> None:
        """Prepare the trainer for this module's batches."""
        keep_batches_exact(self.trainer)
        attach_data(self, stage)

    def teardown(self, stage: str) -> None:  # noqa: ARG002  # Lightning's signature
        """Leave the trainer as it was."""
        cast_batches_again(self.trainer)

    def clip_gradients(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients, in mixed bfloat16 those of fused optimizers too."""
        if clips_in_bfloat16(self.trainer):
            clip_unscaled(self.trainer, optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:
            super().clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _accumulated_step(self, batch: Batch, stage: Stage) -> Tensor:
        loss, weight = self.step(batch, stage)
        self.losses[f"{stage}_loss"].update(loss.detach(), weight)  # type: ignore[operator]
        return loss

    def _log_stage(self, stage: Stage, **how: Any) -> None:
        """Log what the stage has accumulated, and reset it."""
        values = {f"{stage}/loss": _drain(self.losses[f"{stage}_loss"])}
        if stage in MEASURED:
            metrics: dict[str, Tensor] = _drain(self.metrics[f"{stage}_metrics"])
            values |= {f"{stage}/{name}": value for name, value in metrics.items()}
        # compute() has reduced the values over ranks already; Lightning warns without sync_dist.
        self.log_dict(values, sync_dist=True, **how)

    def _to_network(self, value: Tensor) -> Tensor:
        """Cast an input to the precision and the memory format of the network."""
        if value.is_floating_point():
            value = value.to(self.dtype)
        return value.contiguous(memory_format=self.memory_format) if value.dim() == 4 else value

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


def _drain(accumulated: nn.Module) -> Any:
    assert isinstance(accumulated, Metric | MetricCollection)
    value = accumulated.compute()
    accumulated.reset()
    return value


@contextmanager
def _refusals_of(key: str) -> Iterator[None]:
    """Name the key of the config whose object refuses its values."""
    try:
        yield
    except REFUSALS as error:
        raise UserError(f"{key}: {error}") from error

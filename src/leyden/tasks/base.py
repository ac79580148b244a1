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
from leyden.optim.decay_matrices import decay_matrices
from leyden.optim.parameter_groups import ParameterGroups, check_groups
from leyden.optim.schedules import ScheduleConfig, constant, schedule_of
from leyden.schema import TargetKind
from leyden.tasks.averaging import Averaging
from leyden.tasks.metrics import MeanLoss
from leyden.tasks.readings import Reading
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
"""Stages that compute metrics in addition to the loss."""

ARGUMENT_ERRORS = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors that optimizers and schedules raise for invalid arguments."""


class BatchLoss(NamedTuple):
    """Mean loss of a batch.

    Attributes:
        mean: ``()``, floating.
        weight: Divisor of the mean: the number of rows or tokens, or the sum of the class weights
            of the targets; ``()`` if a tensor. The loss of an epoch is the mean over its batches,
            weighted by this number.
    """

    mean: Tensor
    weight: Tensor | int


class Task(LightningModule, ABC):
    """A network with its loss, metrics, optimizer and schedule.

    A subclass implements ``step``, which computes the loss of a batch, and ``predictions``, which
    converts logits to readable columns. Losses and metrics are accumulated on the device and logged
    once per epoch as ``<stage>/<name>``, because logging takes as long as a training step of a
    small network.

    Args:
        spec: Sizes and class names of the data.
        metrics: Metrics of validation and test; each of these stages gets a copy.
        network: Builds the network from the sizes in ``spec``.
        optimizer: Builds the optimizer from parameter groups.
        scheduler: Builds the schedule from the optimizer and the number of steps of the run.
        parameter_groups: Splits the parameters of the network into groups for the optimizer.
        channels_last: Whether to store weights and images in channels-last memory format, in which
            2-d convolutions are faster on CPUs and GPUs.
        compile_network: Whether to compile the network, in place, so that the names in checkpoints
            do not change.
        lazy_network: Whether to build the network in ``configure_model``, which the trainer calls
            when its strategy is set up: for networks that do not fit on one device.
    """

    network: nn.Module

    target_kind: ClassVar[TargetKind | None] = None
    """What targets have to be; data whose targets are known to be something else are refused before
    they are read. ``None`` allows all."""

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

    def answers(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:  # noqa: ARG002
        """Compute what an exported network returns; ``reading`` describes and reads it.

        Args:
            inputs: Normalised inputs, ``(batch, ...)`` each.

        Returns:
            Tensors ``(batch, ...)`` by name.

        Raises:
            UserError: If the task does not implement it.
        """
        raise _not_exported(self)

    @property
    def reading(self) -> Reading:
        """The reading of ``answers`` as columns, without torch.

        Raises:
            UserError: If the task does not implement it.
        """
        raise _not_exported(self)

    def averaging(self, specs: Sequence[DataSpec]) -> Averaging:  # noqa: ARG002
        """Return the function that averages the outputs of an ensemble of networks.

        Args:
            specs: Spec of the data of each network, in the order of the outputs. The average is an
                output for this task's own spec.

        Raises:
            UserError: If outputs of such networks cannot be averaged.
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
        """Compute the loss of a training batch; the last batch logs the mean of the epoch.

        Callbacks read the logged loss, and the trainer calls their ``on_train_epoch_end`` before
        that of this module.

        Args:
            batch: Normalised inputs and targets, as for ``step``.
            batch_idx: Number of the batch in the epoch.

        Returns:
            Mean loss, ``()``.
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
        """Return the predictions for a batch, as ``predict`` does."""
        return self.predict(batch.inputs)

    def on_train_epoch_end(self) -> None:
        """Log the loss of an epoch that ``max_steps`` or a callback ended before its last batch.

        Only ``Checkpoint`` and its subclasses are called after this hook.
        """
        if self.losses["train_loss"].update_called:
            self._log_stage("train")

    def on_validation_epoch_end(self) -> None:
        """Log the loss and the metrics of the validation split."""
        self._log_stage("val")

    def on_test_epoch_end(self) -> None:
        """Log the loss and the metrics of the test split."""
        self._log_stage("test")

    def update_metrics(self, stage: Stage, predicted: Any, targets: Any) -> None:
        """Update the metrics of a stage with a batch; training has no metrics.

        Args:
            stage: Stage of the batch.
            predicted: First argument of the metrics, ``(batch, ...)``.
            targets: Second argument of the metrics, ``(batch, ...)``.
        """
        if stage in MEASURED:
            self.metrics[f"{stage}_metrics"].update(predicted, targets)  # type: ignore[operator]

    def confusion(self, stage: Stage) -> Tensor | None:  # noqa: ARG002
        """Return how many rows of an epoch were predicted as what, before its metrics are reset.

        Args:
            stage: ``val`` or ``test``.

        Returns:
            Numbers of rows, int64: by target and predicted class, ``(classes, classes)``, or for
            each label, ``(labels, 2, 2)``; ``None`` if the task predicts neither.
        """
        return None

    @property
    def modes(self) -> dict[str, Mode | None]:
        """Mode of each metric by logged name: ``min``, ``max`` or ``None`` if neither is better."""
        modes: dict[str, Mode | None] = {f"{stage}/loss": "min" for stage in STAGES}
        for stage in MEASURED:
            metrics = self.metrics[f"{stage}_metrics"]
            assert isinstance(metrics, MetricCollection)
            for name, metric in metrics.items(copy_state=False):
                higher = metric.higher_is_better
                modes[f"{stage}/{name}"] = None if higher is None else ("min", "max")[higher]
        return modes

    def configure_model(self) -> None:
        """Build the network if it has not been built."""
        if hasattr(self, "network"):
            return
        self.network = self.make_network()
        for parameter in self.network.parameters():
            if parameter.dim() == 4:
                # contiguous() would keep the strides of a one-channel kernel, and the outputs of
                # its convolution would be channels first.
                parameter.data = parameter.data.to(memory_format=self.memory_format)
        if self.compile_network:
            self.network.compile()

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Build the optimizer and its schedule.

        Raises:
            UserError: If a trainable parameter is in no group, or if an argument of the optimizer
                or the schedule is invalid.
        """
        groups = self.parameter_groups(self.network)
        check_groups(groups, self.network)
        with _user_errors_of("optimizer"):
            optimizer = self.optimizer(groups)
        with _user_errors_of("trainer"):
            steps = self.trainer.estimated_stepping_batches
        with _user_errors_of("scheduler"):
            schedule = self._schedule(optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": schedule}  # type: ignore[typeddict-item]

    def on_fit_start(self) -> None:
        """Raise if the schedule is ignored.

        Raises:
            UserError: If the subclass configures an optimizer without the schedule.
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
            UserError: If the schedule has ended because it is shorter than the run.
        """
        try:
            super().lr_scheduler_step(scheduler, metric)
        except ValueError as error:
            raise UserError(f"scheduler: {error}") from error

    def setup(self, stage: str) -> None:
        """Prepare the trainer for the batches of this module."""
        keep_batches_exact(self.trainer)
        attach_data(self, stage)

    def teardown(self, stage: str) -> None:  # noqa: ARG002  # Lightning's signature
        """Undo what ``setup`` has changed in the trainer."""
        cast_batches_again(self.trainer)

    def clip_gradients(
        self,
        optimizer: Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip gradients, including those of fused optimizers in bfloat16 mixed precision.

        Args:
            optimizer: Optimizer of the parameters.
            gradient_clip_val: Largest norm or value; ``None`` is that of the trainer.
            gradient_clip_algorithm: ``norm`` or ``value``; ``None`` is that of the trainer.
        """
        if clips_in_bfloat16(self.trainer):
            clip_unscaled(self.trainer, optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:
            super().clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _accumulated_step(self, batch: Batch, stage: Stage) -> Tensor:
        loss, weight = self.step(batch, stage)
        self.losses[f"{stage}_loss"].update(loss.detach(), weight)  # type: ignore[operator]
        return loss

    def _log_stage(self, stage: Stage, **how: Any) -> None:
        """Log and reset the loss and the metrics of a stage."""
        values = {f"{stage}/loss": _drain(self.losses[f"{stage}_loss"])}
        if stage in MEASURED:
            metrics: dict[str, Tensor] = _drain(self.metrics[f"{stage}_metrics"])
            values |= {f"{stage}/{name}": value for name, value in metrics.items()}
        # compute() has already reduced the values over ranks; Lightning warns without sync_dist.
        self.log_dict(values, sync_dist=True, **how)

    def _to_network(self, value: Tensor) -> Tensor:
        """Convert an input to the dtype and the memory format of the network."""
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
            # Epochs without validation have no new value.
            schedule["frequency"] *= self.trainer.check_val_every_n_epoch or 1
        return schedule


def _not_exported(task: Task) -> UserError:
    return UserError(
        f"{type(task).__name__} does not define what an exported network returns. Implement "
        "Task.answers and Task.reading."
    )


def _drain(accumulated: nn.Module) -> Any:
    assert isinstance(accumulated, Metric | MetricCollection)
    value = accumulated.compute()
    accumulated.reset()
    return value


@contextmanager
def _user_errors_of(key: str) -> Iterator[None]:
    """Raise errors of an object as a ``UserError`` that names its key in the config."""
    try:
        yield
    except ARGUMENT_ERRORS as error:
        raise UserError(f"{key}: {error}") from error

"""Classification: one class per row."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from leyden.batch import Batch, DataSpec
from leyden.losses.reduction import Loss, check_loss, denominator
from leyden.schema import PROBABILITY
from leyden.tasks.averaging import Averaging, average_classes
from leyden.tasks.base import BatchLoss, Stage, Task
from leyden.tasks.metrics import ClassAUROC, ClassF1
from leyden.tasks.readings import ClassReading

TINY = 1e-6


class Mix(Protocol):
    """Function that mixes pairs of rows of a batch, such as mixup."""

    def __call__(
        self, inputs: Mapping[str, Tensor], targets: Tensor, *, num_classes: int, seed: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Mix the rows of a batch.

        Args:
            inputs: Inputs of the network, ``(batch, ...)`` each.
            targets: Class indices, ``(batch,)`` int64.
            num_classes: Number of classes.
            seed: Seed of the random choices.

        Returns:
            Mixed inputs of the same shapes, and class probabilities, ``(batch, num_classes)``
            floating.
        """
        ...


class Classification(Task):
    """Multi-class classification.

    Metrics: ``accuracy``, ``f1`` (macro average) and ``auroc`` (one-vs-rest, average weighted by
    the rows of each class). Classes without rows, and for ``auroc`` a class that all rows have, are
    left out of the average; if none is left, the metric is NaN.

    ``val/loss`` and ``test/loss`` include the label smoothing and the class weights of the loss.

    Args:
        spec: Sizes and class names of the data.
        loss: Loss of logits ``(batch, num_classes)`` and class indices ``(batch,)``.
        mix: Function that mixes training rows, such as mixup; ``None`` for none.
        class_weights: Weight of each class in the loss, or ``balanced`` for weights inversely
            proportional to the rows of each class in the training split. The loss must support
            weights.
        options: Arguments of every ``Task``.

    Attributes:
        temperature: Divisor of the logits before probabilities are computed from them, as
            ``leyden calibrate`` fitted it. The loss is that of the logits themselves.
        threshold: Probability from which the second of two classes is predicted, as ``leyden
            calibrate`` chose it; ``None`` for the more probable class.

    Raises:
        UserError: If the loss does not support class indices, or the probabilities of ``mix``.
        ValueError: If the targets of the data are not classes, or if the loss does not support
            ``class_weights``.
    """

    target_kind = "class"

    def __init__(
        self,
        *,
        spec: DataSpec,
        loss: Loss,
        mix: Mix | None = None,
        class_weights: Literal["balanced"] | Sequence[float] | None = None,
        **options: Any,
    ) -> None:
        num_classes = len(spec.class_names)
        if spec.targets.get("kind", "class") != "class":
            raise ValueError(
                f"task=classification learns one class per row, but the targets of the data are of "
                f"kind {spec.targets['kind']}. Choose task=regression for numbers, "
                "task=multilabel for labels, task=ctc for sequences, or "
                "data.target_type=class for a table."
            )
        if num_classes > 1:
            _check_loss(loss, num_classes, mixes=mix is not None)
        super().__init__(spec=spec, metrics=_metrics(num_classes), **options)
        self.loss = loss
        if class_weights is not None:
            _set_weights(loss, _class_weights(class_weights, spec))
        self.mix = mix
        self.num_classes = num_classes
        self.temperature = 1.0
        self.threshold: float | None = None

    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the loss of a batch, whose rows are mixed in training if there is a ``mix``.

        Args:
            batch: Targets are class indices, ``(batch,)`` int64. The logits are
                ``(batch, num_classes)``.
            stage: Stage whose metrics are updated.
        """
        assert batch.targets is not None
        inputs, targets = batch.inputs, batch.targets
        if stage == "train" and self.mix is not None:
            inputs, targets = self.mix(
                inputs, targets, num_classes=self.num_classes, seed=batch.seed
            )
        logits = self(inputs)
        if stage != "train":
            probabilities = self._decided(self._probabilities(logits))
            self.update_metrics(stage, probabilities, batch.targets)
        if targets.is_floating_point():  # mixed
            logits = logits.to(torch.promote_types(logits.dtype, targets.dtype))
            targets = targets.to(logits.dtype)
        weight = denominator(self.loss, targets, rows=len(targets))
        return BatchLoss(self.loss(logits, targets), weight)

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Return the predicted class and its probability.

        Args:
            logits: ``(batch, num_classes)``, floating.
        """
        probabilities = self._probabilities(logits).cpu().numpy()
        columns = self.reading.columns({"probabilities": probabilities})
        if self.every_probability:
            each = zip(self.spec.class_names, probabilities.T.tolist(), strict=True)
            columns |= {PROBABILITY + name: column for name, column in each}
        return columns

    def answers(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the calibrated probabilities of the classes, ``(batch, num_classes)``."""
        return {"probabilities": self._probabilities(self(inputs))}

    @property
    def reading(self) -> ClassReading:
        """The class of each row, by the threshold if there is one."""
        return ClassReading(names=self.spec.class_names, threshold=self.threshold)

    def _probabilities(self, logits: Tensor) -> Tensor:
        """Return calibrated probabilities for logits ``(batch, num_classes)``."""
        return (logits.float() / self.temperature).softmax(dim=1)

    def _decided(self, probabilities: Tensor) -> Tensor:
        """Stretch probabilities ``(batch, 2)`` so that the threshold becomes 0.5.

        The predicted class is then the one of the larger value, and the order of the rows, which
        AUROC depends on, stays.
        """
        if self.threshold is None:
            return probabilities
        second, threshold = probabilities[:, 1], self.threshold
        below = second / (2 * max(threshold, TINY))
        above = 0.5 + TINY + (second - threshold) / (2 * max(1 - threshold, TINY))
        stretched = torch.where(second < threshold, below, above)
        return torch.stack([1 - stretched, stretched], dim=1)

    def confusion(self, stage: Stage) -> Tensor:
        """Return the number of rows by target and predicted class, ``(classes, classes)``."""
        metric = self.metrics[f"{stage}_metrics"]["auroc"]  # type: ignore[index]
        assert isinstance(metric, ClassAUROC)
        return metric.confusion()

    def averaging(self, specs: Sequence[DataSpec]) -> Averaging:  # noqa: ARG002
        """Average the probabilities of the classes, which all folds of data share."""
        return average_classes


def _class_weights(chosen: Literal["balanced"] | Sequence[float], spec: DataSpec) -> Tensor:
    """Return the weight of each class, ``(num_classes,)`` float32."""
    if chosen == "balanced":
        counts = torch.tensor(spec.targets["counts"], dtype=torch.float32)
        return counts.sum() / (len(counts) * counts.clamp_min(1))
    weights = torch.tensor([float(weight) for weight in chosen])
    if len(weights) != len(spec.class_names) or not (weights >= 0).all():
        raise ValueError(
            f"class_weights: expected balanced or one weight of at least 0 for each of "
            f"{', '.join(spec.class_names)}, got {list(chosen)}."
        )
    return weights


def _set_weights(loss: Loss, weights: Tensor) -> None:
    if not isinstance(loss, nn.Module) or not hasattr(loss, "weight"):
        raise ValueError(
            "class_weights needs a loss that supports class weights, such as loss=cross_entropy "
            "or loss=focal."
        )
    loss.register_buffer("weight", weights)


def _metrics(num_classes: int) -> MetricCollection:
    # Validation of arguments would synchronise with the device in each batch.
    accuracy = MulticlassAccuracy(num_classes=num_classes, average="micro", validate_args=False)
    return MetricCollection(
        {
            "accuracy": accuracy,
            "f1": ClassF1(num_classes=num_classes),
            "auroc": ClassAUROC(num_classes=num_classes),
        }
    )


def _check_loss(loss: Loss, num_classes: int, *, mixes: bool) -> None:
    """Raise if a loss does not support class indices, or class probabilities if ``mixes``."""
    classes = torch.arange(min(num_classes, 64))
    logits = 30 * nn.functional.one_hot(classes, num_classes).float()
    needed = "task=classification needs a loss of class indices, such as loss=cross_entropy"
    others = classes.roll(1)
    if mixes:
        classes, others = (nn.functional.one_hot(c, num_classes).float() for c in (classes, others))
        needed = "task/mix needs a loss of class probabilities, such as loss=cross_entropy"
    check_loss(loss, right=(logits, classes), wrong=(logits, others), needed=needed)

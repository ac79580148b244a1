"""Classification: one label per row."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from leyden.batch import Batch, DataSpec
from leyden.losses.reduction import Loss, check_loss, denominator
from leyden.tasks.base import BatchLoss, Stage, Task
from leyden.tasks.metrics import ClassAUROC, ClassF1
from leyden.tasks.pooled_metrics import PooledMetrics


class Mix(Protocol):
    """Mixes pairs of rows, inputs and targets alike."""

    def __call__(
        self,
        inputs: Mapping[str, Tensor],
        targets: Tensor,
        *,
        num_classes: int,
        seed: int,
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Give mixed inputs and target probabilities ``(batch, num_classes)``."""
        ...


class Classification(Task):
    """Learns one of several classes per row.

    Metrics: ``accuracy``, ``f1`` (mean over classes) and ``auroc`` (one against the rest, mean
    over classes weighted by their rows). A class that no row has, and for ``auroc`` one that all
    rows have, does not count; without any that counts, the metric is NaN.

    The losses of validation and test are the one that is minimised, with its label smoothing and
    class weights.

    Args:
        spec: sizes and class names of the data.
        loss: of logits ``(batch, num_classes)`` and class indices ``(batch,)``.
        mix: mixes training rows, as mixup does; ``None`` leaves them alone.
        class_weights: what a row of each class counts in the loss, or ``balanced`` to let all
            classes of the training split count the same; the loss must take weights.
        options: those of every task.
    """

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
                f"classification learns one class per row, but the data hold "
                f"{spec.targets['kind']} targets. Choose task=regression for numbers, "
                "task=multilabel for labels, task=ctc for sequences, or "
                "data.target_type=class for a table."
            )
        if num_classes > 1:
            _check_loss(loss, num_classes, mixes=mix is not None)
        super().__init__(spec=spec, metrics=_metrics(num_classes), **options)
        self.loss = loss
        if class_weights is not None:
            _weigh(loss, _weights(class_weights, spec))
        self.mix = mix
        self.num_classes = num_classes

    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the loss, on mixed rows in training."""
        assert batch.targets is not None
        inputs, targets = batch.inputs, batch.targets
        if stage == "train" and self.mix is not None:
            inputs, targets = self.mix(
                inputs, targets, num_classes=self.num_classes, seed=batch.seed
            )
        logits = self(inputs)
        if stage != "train":
            self.update_metrics(stage, logits.float().softmax(dim=1), batch.targets)
        if targets.is_floating_point():  # as they are where they are mixed
            logits = logits.to(torch.promote_types(logits.dtype, targets.dtype))
            targets = targets.to(logits.dtype)
        weight = denominator(self.loss, targets, rows=len(targets))
        return BatchLoss(self.loss(logits, targets), weight)

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Give the likeliest class and its probability."""
        probability, index = logits.float().softmax(dim=1).max(dim=1)
        return {
            "class": [self.spec.class_names[i] for i in index.tolist()],
            "probability": probability.tolist(),
        }


def _weights(chosen: Literal["balanced"] | Sequence[float], spec: DataSpec) -> Tensor:
    """Give what each class ``(num_classes,)`` counts."""
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


def _weigh(loss: Loss, weights: Tensor) -> None:
    if not isinstance(loss, nn.Module) or not hasattr(loss, "weight"):
        raise ValueError(
            "class_weights needs a loss that weighs classes, such as loss=cross_entropy or "
            "loss=focal."
        )
    loss.register_buffer("weight", weights)


def _metrics(num_classes: int) -> PooledMetrics:
    # Validating arguments would look at the values of each batch, and so wait for the device.
    accuracy = MulticlassAccuracy(num_classes=num_classes, average="micro", validate_args=False)
    return PooledMetrics(
        {
            "accuracy": accuracy,
            "f1": ClassF1(num_classes=num_classes),
            "auroc": ClassAUROC(num_classes=num_classes),
        }
    )


def _check_loss(loss: Loss, num_classes: int, *, mixes: bool) -> None:
    """Refuse losses of numbers, of labels and of sequences."""
    classes = torch.arange(min(num_classes, 64))
    logits = 30 * nn.functional.one_hot(classes, num_classes).float()
    needed = "task=classification needs one of class indices, such as loss=cross_entropy or focal"
    others = classes.roll(1)
    if mixes:
        classes, others = (nn.functional.one_hot(c, num_classes).float() for c in (classes, others))
        needed = "task/mix needs one of class probabilities, such as loss=cross_entropy or focal"
    check_loss(loss, right=(logits, classes), wrong=(logits, others), needed=needed)

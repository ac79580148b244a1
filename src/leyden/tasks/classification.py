"""Classification: one label per row."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassF1Score,
)

from leyden.batch import Batch, DataSpec
from leyden.tasks.base import Stage, Task


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
    over classes weighted by their rows, so that a class without any does not count).

    Args:
        spec: sizes and class names of the data.
        loss: of logits ``(batch, num_classes)`` and class indices ``(batch,)``.
        mix: mixes training rows, as mixup does; ``None`` leaves them alone.
        options: those of every task.
    """

    def __init__(
        self,
        *,
        spec: DataSpec,
        loss: Callable[[Tensor, Tensor], Tensor],
        mix: Mix | None = None,
        **options: Any,
    ) -> None:
        num_classes = len(spec.class_names)
        super().__init__(spec=spec, metrics=_metrics(num_classes), **options)
        self.loss = loss
        self.mix = mix
        self.num_classes = num_classes

    def step(self, batch: Batch, stage: Stage) -> Tensor:
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
        return self.loss(logits, targets)

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Give the likeliest class and its probability."""
        probability, index = logits.float().softmax(dim=1).max(dim=1)
        return {
            "class": [self.spec.class_names[i] for i in index.tolist()],
            "probability": probability.tolist(),
        }


def _metrics(num_classes: int) -> MetricCollection:
    # Validating arguments would look at the values of each batch, and so wait for the device.
    sizes: dict[str, Any] = {"num_classes": num_classes, "validate_args": False}
    with warnings.catch_warnings():
        # The probabilities are kept until the epoch ends: binning them costs more time than that
        # costs memory, and tells the sure from the surer badly.
        warnings.filterwarnings("ignore", message=".*will save all targets and predictions")
        auroc = MulticlassAUROC(average="weighted", **sizes)
    return MetricCollection(
        {
            "accuracy": MulticlassAccuracy(average="micro", **sizes),
            "f1": MulticlassF1Score(average="macro", **sizes),
            "auroc": auroc,
        }
    )

"""Multi-label classification: any number of labels per row."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.classification import MultilabelExactMatch

from leyden.batch import Batch, DataSpec
from leyden.losses.reduction import Loss, check_loss, denominator
from leyden.tasks.averaging import Averaging, average_labels
from leyden.tasks.base import BatchLoss, Stage, Task
from leyden.tasks.metrics import LabelAUROC, LabelF1
from leyden.tasks.readings import LabelReading


class Multilabel(Task):
    """Multi-label classification.

    Metrics: ``exact_match`` (fraction of rows whose labels are all correct), ``f1`` (macro
    average) and ``auroc`` (average weighted by the rows of each label). Labels without rows, and
    for ``auroc`` a label that all rows have, are left out of the average; if none is left, the
    metric is NaN.

    Args:
        spec: Sizes and label names of the data.
        loss: Loss of logits ``(batch, labels)`` and targets ``(batch, labels)``, floating.
        threshold: Probability at which a label is predicted, in [0, 1].
        options: Arguments of every ``Task``.

    Raises:
        UserError: If the loss is not one of independent labels.
        ValueError: If the targets of the data are not labels, or only one label.
    """

    target_kind = "labels"

    def __init__(
        self, *, spec: DataSpec, loss: Loss, threshold: float = 0.5, **options: Any
    ) -> None:
        if spec.targets.get("kind") != "labels" or len(spec.class_names) < 2:
            raise ValueError(
                "task=multilabel learns two labels or more, of which a row may have several. Give "
                "several target columns or data.label_separator, or choose task=classification "
                "or task=regression."
            )
        _check_loss(loss, len(spec.class_names))
        super().__init__(spec=spec, metrics=_metrics(len(spec.class_names), threshold), **options)
        self.loss = loss
        self.threshold = threshold

    def step(self, batch: Batch, stage: Stage) -> BatchLoss:
        """Compute the mean loss of a batch over rows and labels.

        Args:
            batch: Targets are 0 or 1, ``(batch, labels)`` uint8. The logits have the same shape.
            stage: Stage whose metrics are updated.
        """
        assert batch.targets is not None
        logits = self(batch.inputs)
        if stage != "train":
            self.update_metrics(stage, logits.float().sigmoid(), batch.targets.long())
        targets = batch.targets.to(logits.dtype)
        weight = denominator(self.loss, targets, rows=len(targets))
        return BatchLoss(self.loss(logits, targets), weight)

    def predictions(self, logits: Tensor) -> Mapping[str, list[Any]]:
        """Return the labels of each row, and the probability of every label.

        Args:
            logits: ``(batch, labels)``, floating.
        """
        probabilities = logits.float().sigmoid().cpu().numpy()
        return self.reading.columns({"probabilities": probabilities})

    def answers(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the probabilities of the labels, ``(batch, labels)``."""
        return {"probabilities": self(inputs).float().sigmoid()}

    @property
    def reading(self) -> LabelReading:
        """The labels of each row."""
        return LabelReading(names=self.spec.class_names, threshold=self.threshold)

    def confusion(self, stage: Stage) -> Tensor:
        """Return the number of rows without and with each label, ``(labels, 2, 2)``."""
        metric = self.metrics[f"{stage}_metrics"]["f1"]  # type: ignore[index]
        assert isinstance(metric, LabelF1)
        return metric.confusion()

    def averaging(self, specs: Sequence[DataSpec]) -> Averaging:  # noqa: ARG002
        """Average the probabilities of the labels, which all folds of data share."""
        return average_labels


def _check_loss(loss: Loss, num_labels: int) -> None:
    """Raise if a loss treats labels as mutually exclusive classes."""
    labels = torch.ones(1, num_labels)
    check_loss(
        loss,
        right=(30 * labels, labels),
        wrong=(-30 * labels, labels),
        highest=0.1,
        needed="task=multilabel needs a loss of independent labels, such as loss=bce",
    )


def _metrics(num_labels: int, threshold: float) -> MetricCollection:
    # Validation of arguments would synchronise with the device in each batch.
    exact = MultilabelExactMatch(num_labels=num_labels, threshold=threshold, validate_args=False)
    return MetricCollection(
        {
            "exact_match": exact,
            "f1": LabelF1(num_labels=num_labels, threshold=threshold),
            "auroc": LabelAUROC(num_labels=num_labels),
        }
    )

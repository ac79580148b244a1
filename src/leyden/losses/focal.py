"""Focal loss: cross-entropy that down-weights easy examples."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class FocalLoss(nn.Module):
    """Cross-entropy with each class's term weighted by ``(1 - probability) ** gamma``.

    Lin et al. 2017, "Focal Loss for Dense Object Detection" (arXiv:1708.02002, eq. 4), extended to
    several classes and to soft targets. Well-classified examples contribute little, so that hard
    ones dominate the gradient. With ``gamma=0`` it equals cross-entropy.

    Args:
        gamma: Focusing parameter, at least 0; the paper recommends 2.
        label_smoothing: Fraction of each target that is spread evenly over all classes, in [0, 1].
        weight: Weight of each class, ``(classes,)``; the mean is weighted, as in
            ``torch.nn.CrossEntropyLoss``.

    Raises:
        ValueError: If ``gamma`` or ``label_smoothing`` is out of its range.

    Example:
        >>> logits, targets = torch.tensor([[2.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
        >>> round(FocalLoss(gamma=0.0)(logits, targets).item(), 4)  # cross-entropy
        0.2201
        >>> round(FocalLoss(gamma=2.0)(logits, targets).item(), 4)
        0.0122
    """

    def __init__(
        self,
        *,
        gamma: float = 2.0,
        label_smoothing: float = 0.0,
        weight: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if gamma < 0.0:
            raise ValueError(f"gamma must be at least 0, got {gamma}: 0 is cross-entropy.")
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(
                f"label_smoothing must be in [0, 1], got {label_smoothing}: 0.1 is common."
            )
        self.gamma = gamma
        self.label_smoothing = label_smoothing
        self.weight: Tensor | None
        self.register_buffer("weight", None if weight is None else torch.as_tensor(weight))

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Compute the mean loss of a batch.

        Args:
            logits: ``(batch, classes)``, floating.
            targets: Class indices, ``(batch,)`` int64, or class probabilities,
                ``(batch, classes)`` floating.

        Returns:
            Mean loss, ``()``.
        """
        # In bfloat16 and float16, a probability near 1 is rounded to 1.
        dtype = torch.promote_types(logits.dtype, torch.float32)
        log_probabilities = functional.log_softmax(logits, dim=1, dtype=dtype)
        classes = logits.shape[1]
        rows = self.denominator(targets)
        if not targets.is_floating_point():
            targets = functional.one_hot(targets, classes)
        targets = targets.to(dtype) * (1.0 - self.label_smoothing) + self.label_smoothing / classes
        # The gradient of the power is infinite at exactly 0 if gamma is below 1.
        misses = (-torch.expm1(log_probabilities)).clamp_min(torch.finfo(dtype).tiny)
        losses = -targets * misses.pow(self.gamma) * log_probabilities  # (batch, classes)
        if self.weight is not None:
            losses = losses * self.weight
        return losses.sum() / rows

    def denominator(self, targets: Tensor) -> Tensor | int:
        """Return the divisor of the mean: the number of rows, or the sum of their class weights.

        Args:
            targets: Targets of ``forward``.
        """
        if self.weight is None or targets.is_floating_point():
            return len(targets)
        return self.weight[targets].sum()

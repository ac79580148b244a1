"""The divisor of a mean loss, and a check that a loss suits its task."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from leyden.errors import UserError

Loss = Callable[..., Tensor]
"""Function of predictions and targets that returns the mean loss, ``()``."""

MISFIT = (ArithmeticError, AttributeError, IndexError, RuntimeError, TypeError, UserWarning)
"""Errors that losses raise for predictions or targets of another kind."""


def denominator(loss: Loss, targets: Tensor, *, rows: Tensor | int) -> Tensor | int:
    """Return the divisor of a loss that averages over a batch.

    For any batch size, the mean over all rows is the sum of ``mean * denominator`` over batches,
    divided by the sum of the denominators. A custom loss with a weighted mean implements a method
    ``denominator(targets)``.

    Args:
        loss: Loss that returns a mean.
        targets: Targets of the batch, ``(rows,)`` int64 or ``(rows, classes)`` floating.
        rows: Divisor of an unweighted loss.

    Returns:
        Divisor; ``()`` if a tensor.

    Example:
        >>> import torch
        >>> weighted = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))
        >>> denominator(weighted, torch.tensor([0, 1, 1]), rows=3)
        tensor(7.)
    """
    own: Callable[[Tensor], Tensor | int] | None = getattr(loss, "denominator", None)
    if own is not None:
        return own(targets)
    if not isinstance(loss, nn.CrossEntropyLoss | nn.NLLLoss) or targets.is_floating_point():
        return rows
    weight: Tensor | None = loss.weight
    if weight is None and loss.ignore_index < 0:
        return rows
    counted = targets != loss.ignore_index
    return (counted if weight is None else weight[targets.where(counted, 0)] * counted).sum()


def check_loss(
    loss: Loss,
    *,
    right: Sequence[Any],
    wrong: Sequence[Any],
    needed: str,
    highest: float = math.inf,
) -> None:
    """Raise if a loss does not prefer correct predictions to wrong ones.

    Args:
        loss: Loss that the task was given.
        right: Arguments of the loss for correct predictions.
        wrong: Arguments of the loss for wrong predictions.
        needed: Requirement of the task, and losses that meet it, for the message.
        highest: Largest loss that correct predictions may have.

    Raises:
        UserError: If the loss does not suit the task, has a reduction other than the mean, or a
            label smoothing outside [0, 1].
    """
    name = getattr(loss, "__name__", type(loss).__name__)
    if (reduction := getattr(loss, "reduction", "mean")) != "mean":
        raise UserError(
            f"loss.reduction={reduction}: expected mean, because a sum depends on the batch size. "
            "Leave loss.reduction out."
        )
    if not 0 <= (smoothing := getattr(loss, "label_smoothing", 0)) <= 1:  # torch treats it as 0
        raise UserError(f"loss.label_smoothing: expected 0 to 1, got {smoothing}.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Using a target size")
            low, high = float(loss(*right)), float(loss(*wrong))
    except (*MISFIT, ValueError):
        low = high = math.nan
    if not (-1e-6 <= low < high and low <= highest):
        raise UserError(f"The loss {name} does not fit: {needed}.")

"""What a loss divides the sum over a batch by, and whether a loss fits a task."""

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from leyden.errors import UserError

Loss = Callable[..., Tensor]
"""Mean loss ``()`` of predictions and their targets."""

MISFIT = (ArithmeticError, AttributeError, IndexError, RuntimeError, TypeError, UserWarning)
"""What a loss raises for predictions or targets that are not of its kind."""


def denominator(loss: Loss, targets: Tensor, *, rows: Tensor | int) -> Tensor | int:
    """Return what a loss has divided the sum over a batch by to get its mean.

    The mean over all rows is then the sum of ``mean * denominator`` over the sum of the
    denominators, however the rows are batched. A loss of one's own whose mean is weighted declares
    a method ``denominator(targets)``.

    Args:
        loss: The loss.
        targets: What it was given, ``(rows,)`` of int64 or ``(rows, classes)``, floating.
        rows: What an unweighted loss divides by.
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
    """Refuse a loss that a task cannot learn by, since it fails to tell right from wrong.

    Args:
        loss: The loss.
        right: Arguments of a right prediction.
        wrong: Arguments of a wrong one.
        needed: Name of the task and of the losses that fit it, for the message.
        highest: Largest loss that a right prediction may have.

    Raises:
        UserError: If the loss does not fit, or is not a mean.
    """
    name = getattr(loss, "__name__", type(loss).__name__)
    if (reduction := getattr(loss, "reduction", "mean")) != "mean":
        raise UserError(
            f"loss.reduction={reduction}: expected mean, since a sum depends on the size of the "
            "batches. Leave loss.reduction out."
        )
    if not 0 <= (smoothing := getattr(loss, "label_smoothing", 0)) <= 1:  # torch takes it for 0
        raise UserError(f"loss.label_smoothing: expected 0 to 1, got {smoothing}.")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="Using a target size")
            low, high = float(loss(*right)), float(loss(*wrong))
    except (*MISFIT, ValueError):
        low = high = math.nan
    if not (-1e-6 <= low < high and low <= highest):
        raise UserError(f"The loss {name} does not fit: {needed}.")

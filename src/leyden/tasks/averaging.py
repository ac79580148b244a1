"""Averages over the networks of an ensemble."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

Averaging = Callable[[Sequence[Tensor]], Tensor]
"""Maps the outputs of networks for the same rows, ``(batch, ...)`` each, to one of that shape."""


def average_classes(outputs: Sequence[Tensor]) -> Tensor:
    """Return the logarithm of the mean probability of each class.

    Args:
        outputs: Logits ``(batch, ..., classes)`` of each network.

    Example:
        >>> logits = [torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 100.0]])]
        >>> average_classes(logits).exp()
        tensor([[0.2500, 0.7500]])
    """
    each = torch.stack([output.float().log_softmax(dim=-1) for output in outputs])
    return each.logsumexp(dim=0) - math.log(len(outputs))


def average_labels(outputs: Sequence[Tensor]) -> Tensor:
    """Return the logit of the mean probability of each label.

    Args:
        outputs: Logits ``(batch, labels)`` of each network.

    Example:
        >>> logits = [torch.tensor([[0.0]]), torch.tensor([[100.0]])]
        >>> average_labels(logits).sigmoid()
        tensor([[0.7500]])
    """
    logits = torch.stack([output.float() for output in outputs])
    return logsigmoid(logits).logsumexp(dim=0) - logsigmoid(-logits).logsumexp(dim=0)

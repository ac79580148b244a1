"""Rules that split the parameters of a network into groups with options of their own.

A rule maps a network to a list of groups and is chosen by ``parameter_groups=OPTION``. A group is
that of ``torch.optim``: a dictionary with ``params`` and any options of the optimizer.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import nn

from leyden.errors import UserError

ParameterGroups = Callable[[nn.Module], list[dict[str, Any]]]
"""Splits the parameters of a network into groups for the optimizer."""


def decay_matrices(module: nn.Module) -> list[dict[str, Any]]:
    """Return parameter groups that exempt biases and the scales of norms from weight decay.

    Weight decay regularises matrices and kernels. A scale or a bias has too few values to overfit,
    and decaying the scale of a norm to zero shrinks the output of its layer: Jia et al. 2018
    (arXiv:1807.11205, 3.2) and He et al. 2019 (arXiv:1812.01187, 3.1) both gain from the exemption.

    Args:
        module: Network; its frozen parameters are left out.

    Returns:
        Up to two groups, each in the order of ``module.parameters()``: parameters of two or more
        dimensions, which take the optimizer's own ``weight_decay``, then all others with
        ``weight_decay`` 0. Empty groups are left out.

    Example:
        >>> groups = decay_matrices(nn.Linear(3, 2))
        >>> [[tuple(p.shape) for p in group["params"]] for group in groups]
        [[(2, 3)], [(2,)]]
        >>> [group.get("weight_decay") for group in groups]
        [None, 0.0]
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in trainable if parameter.ndim > 1]},
        {"params": [parameter for parameter in trainable if parameter.ndim <= 1]},
    ]
    groups[1]["weight_decay"] = 0.0
    return [group for group in groups if group["params"]]


def check_groups(groups: Collection[Mapping[str, Any]], module: nn.Module) -> None:
    """Raise if a trainable parameter is in no group, because it would keep its initial value.

    Args:
        groups: Parameter groups that a rule returned for ``module``.
        module: Network whose trainable parameters must be in the groups.

    Raises:
        UserError: If a trainable parameter is in no group; the message names it.
    """
    grouped = {id(parameter) for group in groups for parameter in group["params"]}
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and id(parameter) not in grouped:
            raise UserError(
                "parameter_groups: expected every trainable parameter in a group, but "
                f"{name} is in none. Add it to a group, or freeze it with requires_grad_(False)."
            )

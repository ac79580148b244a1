"""Groups of parameters with options of their own.

A rule is a file beside this one, such as ``decay_matrices.py``: a function that maps a network to a
list of groups, chosen by ``parameter_groups=OPTION``. A group is that of ``torch.optim``: a
dictionary with ``params`` and any options of the optimizer.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import nn

from leyden.errors import UserError

ParameterGroups = Callable[[nn.Module], list[dict[str, Any]]]
"""Splits the parameters of a network into groups for the optimizer."""


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

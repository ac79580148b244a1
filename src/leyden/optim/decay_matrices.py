"""The default rule of parameter groups: weight decay for matrices and kernels alone."""

from typing import Any

from torch import nn


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

"""Which parameters decay."""

from typing import Any

from torch import nn


def parameter_groups(module: nn.Module) -> list[dict[str, Any]]:
    """Split the trainable parameters into those that decay and those that do not.

    Weight decay regularises matrices and kernels. A scale or a bias has too few values to overfit,
    and pulling a norm's scale to zero shrinks its layer's output, so they are exempt: Jia et al.
    2018 (arXiv:1807.11205, 3.2) and He et al. 2019 (arXiv:1812.01187, 3.1) both gain from it.

    Returns:
        Up to two groups for an optimizer, each in the order of ``module.parameters()``: parameters
        of two or more dimensions, which take the optimizer's own ``weight_decay``, then the others
        with ``weight_decay`` 0. Frozen parameters and empty groups are left out.
    """
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in trainable if parameter.ndim > 1]
    exempt = [parameter for parameter in trainable if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed},
        {"params": exempt, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]

"""The Lion optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT


class Lion(Optimizer):
    """Update by the sign of an interpolated momentum, with decoupled weight decay.

    Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms" (arXiv:2302.06675, program 1).
    It keeps one tensor of state per parameter, half of Adam's. Each step changes every weight by
    ``lr``, so the paper uses a learning rate 3 to 10 times smaller than AdamW's and a weight decay
    3 to 10 times larger.

    Args:
        params: Parameters or parameter groups.
        lr: Change of each weight in a step.
        betas: Coefficients of the momentum in the update and in its own moving average, in [0, 1).
        weight_decay: Fraction of the weight, times ``lr``, that is subtracted in each step.

    Raises:
        ValueError: If an option of a group is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        >>> (weight**2).sum().backward()
        >>> Lion([weight], lr=0.1).step()
        >>> weight.detach()
        tensor([ 0.9000, -1.9000])
    """

    def __init__(
        self,
        params: ParamsT,
        *,
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "weight_decay": weight_decay})
        for group in self.param_groups:
            _check_group(**{name: group[name] for name in self.defaults})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform a single optimization step.

        Args:
            closure: Reevaluates the model and returns the loss.

        Returns:
            The loss that ``closure`` returned, or ``None`` without a closure.

        Raises:
            ValueError: If a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        if gradient.is_sparse:
            raise ValueError(
                "Lion expects dense gradients, got sparse ones: build the embedding with "
                "sparse=False or choose SGD."
            )
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        momentum = state["momentum"]
        step_beta, momentum_beta = group["betas"]
        direction = momentum.lerp(gradient, 1.0 - step_beta).sign_()
        parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
        parameter.sub_(direction.mul_(group["lr"]))
        momentum.lerp_(gradient, 1.0 - momentum_beta)


def _check_group(*, lr: float, betas: tuple[float, ...], weight_decay: float) -> None:
    if lr < 0.0:
        raise ValueError(f"lr must be at least 0, got {lr}: 1e-4 is a common start for Lion.")
    if len(betas) != 2 or not all(0.0 <= beta < 1.0 for beta in betas):
        raise ValueError(f"betas must be two numbers in [0, 1), got {betas}: try (0.9, 0.99).")
    if weight_decay < 0.0:
        raise ValueError(f"weight_decay must be at least 0, got {weight_decay}: 0 is none.")

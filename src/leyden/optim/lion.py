"""The Lion optimizer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT


class Lion(Optimizer):
    """Steps by the sign of an interpolated momentum, with decoupled weight decay.

    Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms" (arXiv:2302.06675, program 1).
    One state tensor for each parameter, half of Adam's. Every weight moves by ``lr`` each step, so
    the paper takes a learning rate 3 to 10 times smaller than AdamW's and a weight decay 3 to 10
    times larger.

    Args:
        params: Parameters or groups of them.
        lr: How far each weight moves in a step.
        betas: Share of the momentum in the step, and in the momentum that is kept.
        weight_decay: Share of the weight, times ``lr``, taken off in each step.
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
        """Take one step.

        Args:
            closure: Computes the loss and its gradients anew.

        Returns:
            What ``closure`` returned, ``None`` without one.
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

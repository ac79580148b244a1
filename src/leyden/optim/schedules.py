"""Learning-rate schedules that stretch over the run, whatever its length.

Each takes an optimizer and the run's number of optimizer steps and returns what Lightning expects
of ``configure_optimizers``. The optimizer's own ``lr`` is always the peak.
"""

import math
from collections.abc import Callable
from inspect import signature
from typing import Any, Literal, NotRequired, TypedDict

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    LambdaLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    StepLR,
)

from leyden.errors import UserError

Interval = Literal["step", "epoch"]


class ScheduleConfig(TypedDict):
    """A schedule, how often it advances, and the metric that it watches if it watches one."""

    scheduler: LRScheduler
    interval: Interval
    frequency: int
    monitor: NotRequired[str]


def schedule_of(
    factory: Callable[..., ScheduleConfig | LRScheduler],
    optimizer: Optimizer,
    *,
    total_steps: float,
) -> ScheduleConfig:
    """Build a schedule by a function of this module, or by a class of torch.

    A class of torch that takes the length of the run, as ``OneCycleLR`` does, advances after each
    optimizer step, any other after each epoch.

    Raises:
        UserError: If the schedule watches a metric, which it can't name.
    """
    by_step = "total_steps" in signature(factory).parameters
    is_given = "total_steps" in getattr(factory, "keywords", {})
    built = factory(optimizer, **({"total_steps": total_steps} if by_step and not is_given else {}))
    if isinstance(built, ReduceLROnPlateau):
        raise UserError(
            "ReduceLROnPlateau does not name the metric that it watches. Choose scheduler=plateau."
        )
    if isinstance(built, LRScheduler):
        return _by_step(built) if by_step else _by_epoch(built)
    return built


def constant(optimizer: Optimizer, *, total_steps: float) -> ScheduleConfig:  # noqa: ARG001
    """Leave the learning rate as it is; the run may be endless."""
    return _by_epoch(LambdaLR(optimizer, lambda _: 1.0))


def one_cycle(
    optimizer: Optimizer,
    *,
    total_steps: float,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    anneal_strategy: Literal["cos", "linear"] = "cos",
    cycle_momentum: bool = True,
    base_momentum: float = 0.85,
    max_momentum: float = 0.95,
) -> ScheduleConfig:
    """Rise to the peak and fall to nearly nothing, momentum the other way round.

    Smith & Topin 2018, "Super-Convergence" (arXiv:1708.07120), in torch's ``OneCycleLR``.

    Args:
        optimizer: Its groups' learning rates are the peaks.
        total_steps: Optimizer steps of the run.
        pct_start: Share of the run that rises, in [0, 1).
        div_factor: The peak over the first learning rate.
        final_div_factor: The first learning rate over the last.
        anneal_strategy: Shape of the rise and of the fall.
        cycle_momentum: Cycle the momentum too, where the optimizer uses one.
        base_momentum: Momentum, or first beta, at the peak.
        max_momentum: Momentum, or first beta, at the start and at the end.
    """
    steps = _finite(total_steps)
    _check_share("pct_start", pct_start)
    _check_positive("div_factor", div_factor)
    _check_positive("final_div_factor", final_div_factor)
    if math.isclose(pct_start * steps, 1.0):
        pct_start = 0.5 / steps  # torch divides by the length of a rise that ends where it starts
    return _by_step(
        _OneCycle(
            optimizer,
            max_lr=[float(group["lr"]) for group in optimizer.param_groups],
            total_steps=steps,
            pct_start=float(pct_start),
            anneal_strategy=anneal_strategy,
            cycle_momentum=cycle_momentum and _has_momentum(optimizer),
            base_momentum=base_momentum,
            max_momentum=max_momentum,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
        )
    )


def cosine(
    optimizer: Optimizer,
    *,
    total_steps: float,
    warmup_fraction: float = 0.05,
    final_fraction: float = 0.0,
) -> ScheduleConfig:
    """Rise linearly to the peak, then fall along half a cosine.

    Loshchilov & Hutter 2017, "SGDR" (arXiv:1608.03983), without restarts; the warm-up is that of
    Goyal et al. 2017 (arXiv:1706.02677).

    Args:
        optimizer: Its groups' learning rates are the peaks.
        total_steps: Optimizer steps of the run.
        warmup_fraction: Share of the run that rises, in [0, 1).
        final_fraction: Share of the peak that is left when the run has ended.
    """

    def fall(progress: float) -> float:
        return 0.5 * (1.0 + math.cos(math.pi * progress))

    return _warm_up_then(fall, optimizer, total_steps, warmup_fraction, final_fraction)


def linear(
    optimizer: Optimizer,
    *,
    total_steps: float,
    warmup_fraction: float = 0.05,
    final_fraction: float = 0.0,
) -> ScheduleConfig:
    """Rise linearly to the peak, then fall linearly, as BERT does (arXiv:1810.04805, A.2).

    Args:
        optimizer: Its groups' learning rates are the peaks.
        total_steps: Optimizer steps of the run.
        warmup_fraction: Share of the run that rises, in [0, 1).
        final_fraction: Share of the peak that is left when the run has ended.
    """

    def fall(progress: float) -> float:
        return 1.0 - progress

    return _warm_up_then(fall, optimizer, total_steps, warmup_fraction, final_fraction)


def step(
    optimizer: Optimizer,
    *,
    total_steps: float,  # noqa: ARG001
    step_size: int = 10,
    gamma: float = 0.1,
) -> ScheduleConfig:
    """Multiply the learning rate by ``gamma`` after every ``step_size`` epochs."""
    if step_size < 1:
        raise ValueError(f"step_size must be at least 1 epoch, got {step_size}: raise it.")
    _check_positive("gamma", gamma)
    return _by_epoch(StepLR(optimizer, step_size=step_size, gamma=gamma))


def plateau(
    optimizer: Optimizer,
    *,
    total_steps: float,  # noqa: ARG001
    monitor: str,
    mode: Literal["min", "max"] | None = None,
    factor: float = 0.1,
    patience: int = 5,
    min_lr: float = 0.0,
) -> ScheduleConfig:
    """Multiply the learning rate by ``factor`` when the monitored metric stops getting better.

    Args:
        optimizer: Its groups' learning rates are the first ones.
        total_steps: Not needed; the run may be endless.
        monitor: Name of the metric, as it is logged.
        mode: Whether the metric gets better by falling (``min``, the default) or by rising; a task
            fills it in from the metric.
        factor: What the learning rate is multiplied by, below 1.
        patience: Epochs without anything better that are let pass.
        min_lr: The learning rate never falls below it.
    """
    _check_positive("factor", factor)
    schedule = _by_epoch(
        ReduceLROnPlateau(
            optimizer, mode=mode or "min", factor=factor, patience=patience, min_lr=min_lr
        )
    )
    schedule["monitor"] = monitor
    return schedule


class _OneCycle(OneCycleLR):
    """One cycle over the length that it was built for, when a shorter run is loaded as well."""

    PROGRESS = ("last_epoch", "_step_count", "_last_lr")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over how far the run has come, not how long it was meant to be.

        Raises:
            UserError: it has come farther than this one goes.
        """
        if state_dict["last_epoch"] > self.total_steps:
            raise UserError(
                f"{state_dict['last_epoch']} steps of the schedule are behind the run, which now "
                f"has {self.total_steps} in all. Raise trainer.max_epochs, or give the batch size, "
                "accumulation and number of ranks that it had."
            )
        progress = {name: state_dict[name] for name in self.PROGRESS}
        super().load_state_dict(progress)


def _warm_up_then(
    fall: Callable[[float], float],
    optimizer: Optimizer,
    total_steps: float,
    warmup_fraction: float,
    final_fraction: float,
) -> ScheduleConfig:
    steps = _finite(total_steps)
    _check_share("warmup_fraction", warmup_fraction)
    if not 0.0 <= final_fraction <= 1.0:
        raise ValueError(
            f"final_fraction must be in [0, 1], got {final_fraction}: it is a share of the peak."
        )
    warmup = min(round(warmup_fraction * steps), steps - 1)

    def scale(step: int) -> float:
        # Neither end is wasted on a learning rate of 0: the first step takes 1 / (warmup + 1) of
        # the peak, step ``warmup`` the peak, and the end is reached after the last step.
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min((step - warmup) / (steps - warmup), 1.0)
        return final_fraction + (1.0 - final_fraction) * fall(progress)

    return _by_step(LambdaLR(optimizer, scale))


def _finite(total_steps: float) -> int:
    if not math.isfinite(total_steps) or total_steps < 1:
        raise ValueError(
            f"This schedule stretches over the run and needs its length, got {total_steps} steps: "
            "set trainer.max_epochs or trainer.max_steps, or choose scheduler=constant."
        )
    return int(total_steps)


def _check_share(name: str, share: float) -> None:
    if not 0.0 <= share < 1.0:
        raise ValueError(
            f"{name} must be in [0, 1), got {share}: it is the share of the run that warms up."
        )


def _check_positive(name: str, factor: float) -> None:
    if factor <= 0.0:
        raise ValueError(f"{name} must be above 0, got {factor}: it scales the learning rate.")


def _has_momentum(optimizer: Optimizer) -> bool:
    # Cycling a momentum of 0 would switch on what the user has left off.
    return all("betas" in group or group.get("momentum", 0.0) for group in optimizer.param_groups)


def _by_step(scheduler: LRScheduler) -> ScheduleConfig:
    return {"scheduler": scheduler, "interval": "step", "frequency": 1}


def _by_epoch(scheduler: LRScheduler) -> ScheduleConfig:
    return {"scheduler": scheduler, "interval": "epoch", "frequency": 1}

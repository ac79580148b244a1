"""Learning-rate schedules that scale with the length of the run.

Each function takes an optimizer and the number of optimizer steps of the run, and returns the
``lr_scheduler`` dictionary of Lightning's ``configure_optimizers``. The ``lr`` of a parameter group
is the peak of its learning rate.
"""

import math
from collections.abc import Callable
from inspect import signature
from typing import Any, Literal, NotRequired, TypedDict

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR, ReduceLROnPlateau, StepLR

from leyden.errors import UserError

Interval = Literal["step", "epoch"]


class ScheduleConfig(TypedDict):
    """A schedule, the interval at which it advances, and the metric that it monitors, if any."""

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
    """Build a schedule from a function of this module or a class of ``torch.optim.lr_scheduler``.

    A class that takes ``total_steps``, such as ``OneCycleLR``, advances after each optimizer step;
    all others advance after each epoch.

    Args:
        factory: Function or class, with or without further arguments bound by ``partial``.
        optimizer: Optimizer whose learning rates are scheduled.
        total_steps: Optimizer steps of the run, infinite if it has no end.

    Raises:
        UserError: If the class is ``ReduceLROnPlateau``, which does not name a metric to monitor.

    Example:
        >>> import torch
        >>> from functools import partial
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
        >>> schedule_of(linear, optimizer, total_steps=100)["interval"]
        'step'
        >>> decay = partial(torch.optim.lr_scheduler.ExponentialLR, gamma=0.9)
        >>> schedule_of(decay, optimizer, total_steps=100)["interval"]
        'epoch'
    """
    by_step = "total_steps" in signature(factory).parameters
    is_given = "total_steps" in getattr(factory, "keywords", {})
    built = factory(optimizer, **({"total_steps": total_steps} if by_step and not is_given else {}))
    if isinstance(built, ReduceLROnPlateau):
        raise UserError(
            "ReduceLROnPlateau does not name a metric to monitor. Choose scheduler=plateau."
        )
    if isinstance(built, LRScheduler):
        return _by_step(built) if by_step else _by_epoch(built)
    return built


def constant(optimizer: Optimizer, *, total_steps: float) -> ScheduleConfig:  # noqa: ARG001
    """Keep the learning rate constant.

    Args:
        optimizer: Optimizer whose learning rates are kept.
        total_steps: Ignored; the run may have no end.
    """
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
    """Increase the learning rate to its peak and decrease it to nearly 0; momentum inversely.

    Smith & Topin 2018, "Super-Convergence" (arXiv:1708.07120), by torch's ``OneCycleLR``.

    Args:
        optimizer: Optimizer whose learning rates are the peaks.
        total_steps: Optimizer steps of the run.
        pct_start: Fraction of the run in which the rate increases, in [0, 1).
        div_factor: Ratio of the peak to the initial learning rate.
        final_div_factor: Ratio of the initial to the final learning rate.
        anneal_strategy: Shape of the increase and of the decrease.
        cycle_momentum: Cycle the momentum too, if the optimizer uses one.
        base_momentum: Momentum, or first beta, at the peak.
        max_momentum: Momentum, or first beta, at the start and at the end.

    Raises:
        ValueError: If an argument is out of its range, or the run has no end.
    """
    steps = _finite(total_steps)
    if not 0.0 <= pct_start < 1.0:
        raise ValueError(f"pct_start must be in [0, 1), a fraction of the run, got {pct_start}.")
    if div_factor <= 0.0 or final_div_factor <= 0.0:
        raise ValueError(
            "div_factor and final_div_factor must be positive, got "
            f"{div_factor} and {final_div_factor}."
        )
    if math.isclose(pct_start * steps, 1.0):
        pct_start = 0.5 / steps  # torch would divide by a warm-up of length 0
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
    """Increase the learning rate linearly, then decrease it along half a cosine.

    Loshchilov & Hutter 2017, "SGDR" (arXiv:1608.03983), without restarts, after the warm-up of
    Goyal et al. 2017 (arXiv:1706.02677).

    Args:
        optimizer: Optimizer whose learning rates are the peaks.
        total_steps: Optimizer steps of the run.
        warmup_fraction: Fraction of the run in which the rate increases, in [0, 1).
        final_fraction: Ratio of the final learning rate to the peak, in [0, 1].

    Raises:
        ValueError: If an argument is out of its range, or the run has no end.
    """
    return _warm_up_then_decay(_cosine, optimizer, total_steps, warmup_fraction, final_fraction)


def linear(
    optimizer: Optimizer,
    *,
    total_steps: float,
    warmup_fraction: float = 0.05,
    final_fraction: float = 0.0,
) -> ScheduleConfig:
    """Increase the learning rate linearly, then decrease it linearly.

    The schedule of BERT: Devlin et al. 2019 (arXiv:1810.04805, A.2).

    Args:
        optimizer: Optimizer whose learning rates are the peaks.
        total_steps: Optimizer steps of the run.
        warmup_fraction: Fraction of the run in which the rate increases, in [0, 1).
        final_fraction: Ratio of the final learning rate to the peak, in [0, 1].

    Raises:
        ValueError: If an argument is out of its range, or the run has no end.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
        >>> schedule = linear(optimizer, total_steps=4, warmup_fraction=0.25)["scheduler"]
        >>> rates = []
        >>> for _ in range(4):
        ...     rates.append(round(optimizer.param_groups[0]["lr"], 2))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.5, 1.0, 0.67, 0.33]
    """
    return _warm_up_then_decay(_line, optimizer, total_steps, warmup_fraction, final_fraction)


def step(
    optimizer: Optimizer,
    *,
    total_steps: float,  # noqa: ARG001
    step_size: int = 10,
    gamma: float = 0.1,
) -> ScheduleConfig:
    """Multiply the learning rate by ``gamma`` after every ``step_size`` epochs.

    Args:
        optimizer: Optimizer with the initial learning rates.
        total_steps: Ignored; the run may have no end.
        step_size: Number of epochs between two changes.
        gamma: Factor of the learning rate, positive.

    Raises:
        ValueError: If ``step_size`` is below 1, or ``gamma`` is not positive.
    """
    if step_size < 1:
        raise ValueError(f"step_size must be at least 1 epoch, got {step_size}.")
    if gamma <= 0.0:
        raise ValueError(f"gamma must be positive, got {gamma}: it scales the learning rate.")
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
    """Multiply the learning rate by ``factor`` when the monitored metric stops improving.

    Args:
        optimizer: Optimizer with the initial learning rates.
        total_steps: Ignored; the run may have no end.
        monitor: Logged name of the metric.
        mode: Whether lower (``min``) or higher (``max``) values are better; ``None`` is ``min``. A
            task passes the mode of the metric.
        factor: Factor of the learning rate, positive and below 1.
        patience: Epochs without improvement after which the rate is multiplied.
        min_lr: Lower bound of the learning rate.

    Raises:
        ValueError: If ``factor`` is out of its range.
    """
    if factor <= 0.0:
        raise ValueError(f"factor must be positive, got {factor}: it scales the learning rate.")
    schedule = _by_epoch(
        ReduceLROnPlateau(
            optimizer, mode=mode or "min", factor=factor, patience=patience, min_lr=min_lr
        )
    )
    schedule["monitor"] = monitor
    return schedule


class _OneCycle(OneCycleLR):
    """One-cycle schedule that keeps its own length when the state of a shorter cycle is loaded."""

    PROGRESS = ("last_epoch", "_step_count", "_last_lr")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the number of steps taken, but not the length of the cycle.

        Args:
            state_dict: State of a schedule, returned by ``state_dict``.

        Raises:
            UserError: If more steps have been taken than this cycle has.
        """
        if state_dict["last_epoch"] > self.total_steps:
            raise UserError(
                f"The run has taken {state_dict['last_epoch']} steps of its schedule, which now "
                f"has only {self.total_steps}. Raise trainer.max_epochs, or give the batch size, "
                "accumulation and number of ranks that the run had."
            )
        progress = {name: state_dict[name] for name in self.PROGRESS}
        super().load_state_dict(progress)


def _warm_up_then_decay(
    decay: Callable[[float], float],
    optimizer: Optimizer,
    total_steps: float,
    warmup_fraction: float,
    final_fraction: float,
) -> ScheduleConfig:
    steps = _finite(total_steps)
    if not 0.0 <= warmup_fraction < 1.0:
        raise ValueError(f"warmup_fraction must be in [0, 1), got {warmup_fraction}.")
    if not 0.0 <= final_fraction <= 1.0:
        raise ValueError(f"final_fraction must be in [0, 1], got {final_fraction}.")
    warmup = min(round(warmup_fraction * steps), steps - 1)

    def scale(step: int) -> float:
        # No step has a learning rate of 0: the first one is 1 / (warmup + 1) of the peak, that of
        # step ``warmup`` is the peak, and the final one is reached after the last step.
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min((step - warmup) / (steps - warmup), 1.0)
        return final_fraction + (1.0 - final_fraction) * decay(progress)

    return _by_step(LambdaLR(optimizer, scale))


def _finite(total_steps: float) -> int:
    if not math.isfinite(total_steps) or total_steps < 1:
        raise ValueError(
            f"This schedule needs the length of the run, got {total_steps} steps: set "
            "trainer.max_epochs or trainer.max_steps, or choose scheduler=constant."
        )
    return int(total_steps)


def _line(progress: float) -> float:
    return 1.0 - progress


def _cosine(progress: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def _has_momentum(optimizer: Optimizer) -> bool:
    # Cycling a momentum of 0 would enable momentum that the user has left off.
    return all("betas" in group or group.get("momentum", 0.0) for group in optimizer.param_groups)


def _by_step(scheduler: LRScheduler) -> ScheduleConfig:
    return {"scheduler": scheduler, "interval": "step", "frequency": 1}


def _by_epoch(scheduler: LRScheduler) -> ScheduleConfig:
    return {"scheduler": scheduler, "interval": "epoch", "frequency": 1}

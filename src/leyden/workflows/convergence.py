"""Whether a run ended while the network was still learning."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median

from lightning.pytorch import Trainer

from leyden.callbacks.history import MetricHistory
from leyden.monitor import Mode

FEW_STEPS = 200
"""Optimizer steps in which an annealed schedule may have moved the weights too little.

A step of Adam moves a weight by about the learning rate at most (Kingma & Ba 2015,
arXiv:1412.6980, section 2.1). Few-sample fine-tuning is limited in the same way: by the number of
steps, not of epochs (Zhang et al. 2021, arXiv:2006.05987).
"""

ANNEALED = 0.05
"""Largest final learning rate of an annealed schedule, as a share of its peak."""

NEGLIGIBLE = 0.05
"""Share of the range of a curve below which an improvement does not matter."""


def warn_of_short_run(trainer: Trainer, history: MetricHistory | None) -> list[str]:
    """Return a warning if a run that used all its epochs or steps was still learning.

    A run was still learning if the monitored metric was still improving (``is_improving``), or if
    the training loss was and the metric had not passed its best value. If the schedule has annealed
    the learning rate, the last epochs are nearly always the best, because the noise of the steps
    vanishes; then the run is reported only if it had fewer than ``FEW_STEPS`` optimizer steps. Runs
    that ended otherwise, such as by early stopping or ``max_time``, are not reported.

    Args:
        trainer: Trainer after the fit.
        history: Metrics of each epoch; ``None`` if the run has not recorded them.
    """
    limit = _limit_reached(trainer)
    if limit is None or history is None or history.mode is None:
        return []
    rows, steps = history.rows, trainer.global_step
    if _is_annealed(rows) and steps >= FEW_STEPS:
        return []
    found = _still_learning(rows, history.monitor, history.mode)
    if found is None:
        return []
    name, before, after = found
    return [
        f"The run may have been too short: {name} was still improving when it ended after "
        f"{len(rows)} epochs and {steps} optimizer steps: its mean was {before:.4g} over the "
        f"second third and {after:.4g} over the last. Continue with `leyden train run=RUN "
        f"trainer.{limit}={3 * getattr(trainer, limit)}`, or give trainer.{limit}=… to a new run."
    ]


def is_improving(values: Sequence[float], mode: Mode) -> bool:
    """Whether a curve of one value per epoch was still improving at its end.

    The best value has to be in the last third, and the mean of that third better than the mean of
    the third before it: by more than twice the standard error of their difference, and by more
    than ``NEGLIGIBLE`` of the range of the curve. The noise is estimated from the median of the
    absolute second differences, which a trend does not affect. Curves of fewer than four values
    are too short to tell.

    >>> is_improving([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], "min")
    True
    >>> is_improving([1.0, 0.5, 0.4, 0.39, 0.38, 0.39], "min")
    False
    """
    if len(values) < 4:
        return False
    sign = 1.0 if mode == "max" else -1.0
    values = [sign * value for value in values]
    before, after = _thirds(values)
    gain = fmean(after) - fmean(before)
    error = _noise(values) * math.sqrt(2 / len(after))
    is_best = max(after) == max(values)
    return is_best and gain > max(2 * error, NEGLIGIBLE * (max(values) - min(values)))


def _limit_reached(trainer: Trainer) -> str | None:
    """Return the option that ended the training, if it was its number of epochs or steps."""
    if trainer.current_epoch == trainer.max_epochs:
        return "max_epochs"
    return "max_steps" if trainer.global_step == trainer.max_steps else None


def _is_annealed(rows: Sequence[Mapping[str, float]]) -> bool:
    rates = [row["lr"] for row in rows]
    return bool(rates) and rates[-1] <= ANNEALED * max(rates)


def _still_learning(
    rows: Sequence[Mapping[str, float]], monitor: str, mode: Mode
) -> tuple[str, float, float] | None:
    """Return the curve that was still improving, and its means before and in the last third."""
    measured, losses = _curve(rows, monitor), _curve(rows, "train/loss")
    if is_improving(measured, mode):
        name, values = monitor, measured
    elif is_improving(losses, "min") and not _has_passed_its_best(measured, mode):
        name, values = "train/loss", losses
    else:
        return None
    before, after = _thirds(values)
    return name, fmean(before), fmean(after)


def _has_passed_its_best(values: Sequence[float], mode: Mode) -> bool:
    if len(values) < 2:
        return False
    best = max if mode == "max" else min
    return best(values) not in values[-math.ceil(len(values) / 3) :]


def _curve(rows: Sequence[Mapping[str, float]], name: str) -> list[float]:
    return [row[name] for row in rows if math.isfinite(row.get(name, math.nan))]


def _thirds(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """Return the second-to-last and the last third, rounded up."""
    size = math.ceil(len(values) / 3)
    return values[-2 * size : -size], values[-size:]


def _noise(values: Sequence[float]) -> float:
    """Estimate the standard deviation of the noise; a second difference has sqrt(6) times it."""
    second = [abs(a - 2 * b + c) for a, b, c in zip(values, values[1:], values[2:], strict=False)]
    return median(second) / (0.6745 * math.sqrt(6.0))

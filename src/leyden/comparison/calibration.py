"""Temperature scaling, calibration error and decision thresholds.

All are fitted on rows that the network was not trained on: the validation rows, or all training
rows by out-of-fold predictions. Several labels per row are calibrated as two classes each, if
``(rows, labels)`` arrays are flattened.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leyden.errors import UserError, did_you_mean

Floats = NDArray[np.floating]

Classes = NDArray[np.integer]

BINS = 15
"""Bins of the calibration error, as in Guo et al."""

MAX_TEMPERATURE = 100.0
"""Highest temperature, and the reciprocal of the lowest."""

LOG_ZERO = float(np.log(np.finfo(np.float32).smallest_subnormal))
"""Logarithm of the lowest float32 probability, for those that were rounded to 0."""


def fit_temperature(logits: Floats, targets: Classes) -> float:
    """Return the temperature by which logits are divided to minimise the NLL.

    Guo et al. 2017, "On Calibration of Modern Neural Networks" (arXiv:1706.04599), section 4.2. The
    NLL is convex in the inverse temperature, whose best value is found by bisection.

    Args:
        logits: ``(rows, classes)`` logits or log-probabilities, or ``(rows,)`` log-odds of class 1.
            Rows with NaN or ``inf`` are left out; ``-inf``, a probability of 0, is used.
        targets: ``(rows,)`` classes.

    Returns:
        A temperature in [1 / ``MAX_TEMPERATURE``, ``MAX_TEMPERATURE``]; 1.0 if every row is
        classified correctly, because nothing then limits the confidence.

    Example:
        >>> logits = np.log([[0.99, 0.01]] * 4)  # 99 % sure, but right in 3 of 4 rows
        >>> temperature = fit_temperature(logits, np.array([0, 0, 0, 1]))
        >>> scaled = np.exp(logits / temperature)
        >>> (scaled[0] / scaled[0].sum()).round(4)
        array([0.75, 0.25])
    """
    logits, targets = _usable(logits, targets)
    below = logits - logits[np.arange(len(targets)), targets][:, None]
    if below.max(initial=0.0) <= 0.0:
        return 1.0
    low, high = -np.log(MAX_TEMPERATURE), np.log(MAX_TEMPERATURE)
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _slope(below, np.exp(middle)) < 0 else (low, middle)
    return float(np.exp(-high))


def _usable(logits: Floats, targets: Classes) -> tuple[NDArray[np.float64], Classes]:
    """Return finite logits ``(rows, classes)``, whose maximum is 0, and their targets."""
    logits = np.asarray(logits, dtype=np.float64)
    if logits.ndim == 1:
        logits = np.stack([np.zeros_like(logits), logits], axis=1)
    usable = np.isfinite(logits.max(axis=1))  # the maximum is NaN if any is
    logits = logits[usable] - logits[usable].max(axis=1, keepdims=True)
    return np.where(np.isneginf(logits), LOG_ZERO, logits), targets[usable]


def _slope(below: NDArray[np.float64], inverse: float) -> float:
    """Return the derivative of the NLL by the inverse temperature.

    Args:
        below: ``(rows, classes)`` logits minus that of the target.
        inverse: The inverse temperature.
    """
    scaled = inverse * below
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return float(((weights * below).sum(axis=1) / weights.sum(axis=1)).mean())


def calibration_error(probabilities: Floats, targets: Classes, *, bins: int = BINS) -> float:
    """Return the expected calibration error: how far confidence is from accuracy, on average.

    The error of Guo et al. 2017, section 2: rows are divided into bins of equal width by the
    probability of the predicted class. With one probability per row, they are divided by that of
    class 1, which is compared with the frequency of class 1.

    Args:
        probabilities: ``(rows, classes)``, or ``(rows,)`` of class 1; rows with NaN are left out.
        targets: ``(rows,)`` classes.
        bins: Number of bins.

    Returns:
        Mean over the rows, in [0, 1]; NaN without rows.

    Example:
        >>> round(calibration_error(np.array([0.9, 0.9, 0.9, 0.9]), np.array([1, 1, 1, 0])), 4)
        0.15
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.ndim == 1:
        confidences, hits = probabilities, targets == 1
    else:
        confidences, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    usable = np.isfinite(confidences)
    if not usable.any():
        return float("nan")
    confidences = confidences[usable]
    # A bin includes its upper edge.
    bin_of = np.clip(np.ceil(confidences * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(bin_of, weights=hits[usable] - confidences, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidences))


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """A decision between two classes.

    Attributes:
        value: Class 1 is predicted if its probability is at least this.
        score: Value of the metric that it reaches on the rows that it was chosen on.
    """

    value: float
    score: float


Counts = NDArray[np.int64]

Metric = Callable[[Counts, Counts, int, int], NDArray[np.float64]]
"""Function of true and false positives ``(thresholds,)``, and of the rows of class 1 and 0."""


def _accuracy(hits: Counts, alarms: Counts, ones: int, zeros: int) -> NDArray[np.float64]:
    return (hits + zeros - alarms) / (ones + zeros)


def _balanced_accuracy(hits: Counts, alarms: Counts, ones: int, zeros: int) -> NDArray[np.float64]:
    return (hits / ones + (zeros - alarms) / zeros) / 2


def _f1(hits: Counts, alarms: Counts, ones: int, zeros: int) -> NDArray[np.float64]:  # noqa: ARG001
    return 2 * hits / (hits + alarms + ones)


METRICS: dict[str, Metric] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
}
"""Metrics by which a threshold can be chosen."""


def choose_threshold(probabilities: Floats, targets: Classes, *, metric: str) -> Threshold:
    """Return the threshold that maximises a metric; of equally good ones that closest to 0.5.

    The thresholds that are tried lie midway between neighbouring probabilities.

    Args:
        probabilities: ``(rows,)`` of class 1; rows with NaN are left out.
        targets: ``(rows,)`` classes, 0 or 1.
        metric: One of ``METRICS``.

    Raises:
        UserError: If the metric is unknown, or one of the classes has no rows.

    Example:
        >>> choose_threshold(np.array([0.1, 0.2, 0.3]), np.array([0, 1, 1]), metric="f1")
        Threshold(value=0.15000000000000002, score=1.0)
    """
    if metric not in METRICS:
        raise UserError(
            f"A threshold cannot be chosen by {metric!r}.{did_you_mean(metric, METRICS)}"
        )
    probabilities = np.asarray(probabilities, dtype=np.float64)
    usable = np.isfinite(probabilities)
    ones, zeros = (np.sort(probabilities[usable & (targets == each)]) for each in (1, 0))
    if not (len(ones) and len(zeros)):
        raise UserError(
            "A threshold needs rows of both classes to be chosen by, got "
            f"{len(ones)} rows of class 1 and {len(zeros)} of class 0. Choose it on more rows."
        )
    values = np.unique([0.0, *ones, *zeros, 1.0])
    values = (values[1:] + values[:-1]) / 2
    scores = METRICS[metric](
        _at_least(values, ones), _at_least(values, zeros), len(ones), len(zeros)
    )
    best = np.lexsort((np.abs(values - 0.5), -scores))[0]
    return Threshold(value=float(values[best]), score=float(scores[best]))


def _at_least(thresholds: NDArray[np.float64], ordered: NDArray[np.float64]) -> Counts:
    """Count the probabilities ``(thresholds,)`` that reach each threshold."""
    return len(ordered) - np.searchsorted(ordered, thresholds)

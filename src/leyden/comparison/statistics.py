"""Intervals of a metric over folds and seeds, and tests of whether two configs differ.

Models of different folds share most of their training rows, so their scores are correlated, and
the variance between folds is smaller than that between independent data sets. Nadeau & Bengio 2003,
"Inference for the Generalization Error" (doi:10.1023/A:1024068626366), estimate the variance of the
mean of ``n`` scores as ``(1 / n + n_test / n_train) * variance``. Bouckaert & Frank 2004
(doi:10.1007/978-3-540-24775-3_3) apply it to repeated cross-validation.

Student's t is used over seeds too, because the percentile bootstrap of five values is too narrow.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

LEVEL = 0.95
"""Default confidence level of intervals."""

CONSTANT = 1e-12
"""Fraction of the scores below which a difference or a deviation is a rounding error."""


class Replicate(NamedTuple):
    """Which of the runs of one config a score belongs to; runs of two configs are paired by it."""

    fold: int = 0
    repeat: int = 0
    seed: int = 0


Scores = Mapping[Replicate, float]
"""Values of one metric of one config."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Mean of a metric, or of a difference, and how certain it is.

    Attributes:
        mean: Mean over all replicates; NaN if there are none.
        deviation: Standard deviation of the independent values; NaN for fewer than two.
        error: Standard error of the mean, corrected for the correlation of folds; NaN likewise.
        degrees: Degrees of freedom: the independent values but one.
        low: Lower end of the confidence interval; NaN likewise.
        high: Upper end of the confidence interval.
        count: Replicates that were used.
        left_out: Replicates that were not: their score is not finite, or has no counterpart.
    """

    mean: float
    deviation: float
    error: float
    degrees: int
    low: float
    high: float
    count: int
    left_out: int

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the hypothesis that the true mean is 0.

        NaN if it cannot be tested: fewer than two values, or values that are equal but not 0, which
        tell nothing of the noise.
        """
        if self.error > 0.0:
            return t_tails(self.mean / self.error, self.degrees)
        return 1.0 if self.mean == self.error == 0.0 else math.nan


def summarise(scores: Scores, *, test_ratio: float, level: float = LEVEL) -> Estimate:
    """Estimate the mean of a metric, with its t interval.

    Scores of several seeds in one fold are averaged first, because they share all rows. Without
    cross-validation (one fold, one repeat) the scores of the seeds are independent given the split,
    and the interval holds for this split only.

    Args:
        scores: Scores by fold, repeat and seed; those that are not finite are left out.
        test_ratio: Rows that a fold is tested on per row that it is trained on: about
            ``1 / (folds - 1)``. Ignored without cross-validation.
        level: Confidence level, in (0, 1).

    Example:
        >>> scores = {Replicate(seed=seed): score for seed, score in enumerate([0.90, 0.92, 0.94])}
        >>> estimate = summarise(scores, test_ratio=0.0)
        >>> print(f"{estimate.mean:.2f} ({estimate.low:.3f} to {estimate.high:.3f})")
        0.92 (0.870 to 0.970)
    """
    finite = {at: score for at, score in scores.items() if math.isfinite(score)}
    return _estimate(
        finite,
        scale=max(map(abs, finite.values()), default=0.0),
        left_out=len(scores) - len(finite),
        test_ratio=test_ratio,
        level=level,
    )


def compare(first: Scores, second: Scores, *, test_ratio: float, level: float = LEVEL) -> Estimate:
    """Estimate the mean difference of two configs by the corrected resampled paired t-test.

    The scores are paired by fold, repeat and seed; see ``summarise`` for seeds and for runs without
    cross-validation. How correlated folds are depends on the learner, and cannot be estimated from
    their scores (Bengio & Grandvalet 2004, JMLR 5). The test rarely errs for stable learners: in
    ``benchmarks/equal_configs.py`` it calls 1 to 5 % of equal configs different at the level of
    5 %, or 4 to 7 % after three repeats, which find about twice as many unequal ones.

    Args:
        first: Scores of one config.
        second: Scores of the other, measured on the same rows.
        test_ratio: Rows that a fold is tested on per row that it is trained on.
        level: Confidence level of the interval, in (0, 1).

    Returns:
        Estimate of the mean of ``first - second``.

    Example:
        >>> first = {Replicate(fold=fold): score for fold, score in enumerate([0.9, 0.8, 0.7])}
        >>> second = {Replicate(fold=fold): score for fold, score in enumerate([0.7, 0.7, 0.6])}
        >>> difference = compare(first, second, test_ratio=1 / 2)
        >>> round(difference.mean, 4), round(difference.p_value, 4)
        (0.1333, 0.1271)
    """
    paired = {
        at: (first[at], second[at])
        for at in first.keys() & second.keys()
        if math.isfinite(first[at]) and math.isfinite(second[at])
    }
    return _estimate(
        {at: ours - theirs for at, (ours, theirs) in paired.items()},
        scale=max((abs(score) for pair in paired.values() for score in pair), default=0.0),
        left_out=len(first.keys() | second.keys()) - len(paired),
        test_ratio=test_ratio,
        level=level,
    )


def _estimate(
    scores: Scores, *, scale: float, left_out: int, test_ratio: float, level: float
) -> Estimate:
    values, correction = _independent(scores, test_ratio)
    mean = fmean(values) if values else math.nan
    deviation = stdev(values) if len(values) > 1 else math.nan
    # What rounding leaves of equal values would make any difference significant.
    mean, deviation = (0.0 if abs(each) <= CONSTANT * scale else each for each in (mean, deviation))
    degrees = max(len(values) - 1, 0)
    error = deviation * math.sqrt(1 / (degrees + 1) + correction)
    margin = error * t_quantile(level, degrees) if degrees else math.nan
    return Estimate(
        mean=mean,
        deviation=deviation,
        error=error,
        degrees=degrees,
        low=mean - margin,
        high=mean + margin,
        count=len(scores),
        left_out=left_out,
    )


def _independent(scores: Scores, test_ratio: float) -> tuple[list[float], float]:
    """Average the seeds of each fold; return the values and the correction of their variance."""
    folds: dict[tuple[int, int], list[float]] = {}
    for at, score in sorted(scores.items()):
        folds.setdefault((at.fold, at.repeat), []).append(score)
    if len(folds) == 1:
        return next(iter(folds.values())), 0.0
    return [fmean(seeds) for seeds in folds.values()], test_ratio


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of several tests, so that any false rejection has the stated probability.

    Holm 1979, "A simple sequentially rejective multiple test procedure". An adjusted value below
    0.05 is a rejection at the level of 5 % for all tests together.

    Args:
        p_values: One p-value per test; NaN stays NaN and does not count as a test.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    tested = sorted((p, test) for test, p in enumerate(p_values) if not math.isnan(p))
    adjusted, largest = [math.nan] * len(p_values), 0.0
    for rank, (p, test) in enumerate(tested):
        largest = max(largest, min(p * (len(tested) - rank), 1.0))
        adjusted[test] = largest
    return adjusted


def wilson(successes: float, trials: float, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the score interval of a proportion, which also holds near 0 and 1.

    Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference"
    (doi:10.1080/01621459.1927.10502953), without correction for continuity.

    Args:
        successes: Number of successes.
        trials: Number of independent trials; both ends are NaN if it is 0.
        level: Confidence level, in (0, 1).

    Example:
        >>> low, high = wilson(9, 10)
        >>> round(low, 4), round(high, 4)
        (0.5958, 0.9821)
    """
    if not trials:
        return math.nan, math.nan
    share, squared = successes / trials, NormalDist().inv_cdf((1 + level) / 2) ** 2
    middle = share + squared / (2 * trials)
    margin = math.sqrt(squared / trials * (share * (1 - share) + squared / (4 * trials)))
    whole = 1 + squared / trials
    return max((middle - margin) / whole, 0.0), min((middle + margin) / whole, 1.0)


def t_tails(t: float, degrees: float) -> float:
    """Return the probability that Student's t is at least as far from 0, on either side.

    Args:
        t: Value of the statistic.
        degrees: Degrees of freedom, positive.

    Example:
        >>> round(t_tails(2.776, 4), 4)
        0.05
    """
    if math.isinf(t):
        return 0.0
    total = degrees + t * t
    if degrees / total > (degrees + 2) / (degrees + 5):
        return 1.0 - _lower_beta(t * t / total, 0.5, degrees / 2)
    return _lower_beta(degrees / total, degrees / 2, 0.5)


@cache
def t_quantile(level: float, degrees: float) -> float:
    """Return the value that Student's t exceeds in magnitude with probability ``1 - level``.

    Example:
        >>> round(t_quantile(0.95, 4), 3)
        2.776
    """
    low, high = 0.0, 1.0
    while t_tails(high, degrees) > 1 - level:
        low, high = high, 2 * high
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if t_tails(middle, degrees) > 1 - level else (low, middle)
    return high


def _lower_beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function ``I_x(a, b)`` for ``x`` up to about its mean.

    The continued fraction of the NIST Digital Library of Mathematical Functions, 8.17.22.
    """
    if x == 0.0:
        return 0.0
    fraction = 1.0
    for m in range(10 + int(3 * math.sqrt(max(a, b))), 0, -1):  # converges in sqrt(max(a, b)) steps
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m - 1) * (a + b + m - 1) * x / ((a + 2 * m - 2) * (a + 2 * m - 1))
        fraction = 1.0 + odd / (1.0 + even / fraction)
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(scale + a * math.log(x) + b * math.log1p(-x)) / (a * fraction)

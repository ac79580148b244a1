"""Intervals and tests against published tables, values by hand and simulated configs."""

import math

import numpy as np
import pytest

from leyden.comparison.statistics import (
    Estimate,
    Replicate,
    Scores,
    compare,
    holm,
    summarise,
    t_quantile,
    t_tails,
    wilson,
)


def folds(*scores: float) -> Scores:
    return {Replicate(fold=fold): score for fold, score in enumerate(scores)}


def seeds(*scores: float) -> Scores:
    return {Replicate(seed=seed): score for seed, score in enumerate(scores)}


# Newcombe 1998 (doi:10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E), table I.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_score_intervals_of_the_table(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=5e-5)
    assert wilson(trials - successes, trials) == pytest.approx((1 - high, 1 - low), abs=5e-5)


def test_no_trials_have_no_interval() -> None:
    assert all(map(math.isnan, wilson(0, 0)))


# NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: upper critical values.
@pytest.mark.parametrize(
    ("degrees", "tail", "value"),
    [
        (1, 0.025, 12.706),
        (2, 0.025, 4.303),
        (4, 0.025, 2.776),
        (4, 0.005, 4.604),
        (9, 0.05, 1.833),
        (9, 0.001, 4.297),
        (14, 0.025, 2.145),
        (30, 0.1, 1.310),
        (100, 0.025, 1.984),
        (100_000, 0.025, 1.960),
    ],
)
def test_quantiles_of_the_tables(degrees: int, tail: float, value: float) -> None:
    assert t_quantile(1 - 2 * tail, degrees) == pytest.approx(value, abs=5.1e-4)


@pytest.mark.parametrize("t", [0.0, 1e-9, 0.3, 1.0, 1.73, 2.5, 40.0, -2.5])
def test_tails_in_closed_form(t: float) -> None:
    size = abs(t)
    assert t_tails(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(size), rel=1e-12)
    assert t_tails(t, 2) == pytest.approx(1 - size / math.sqrt(2 + t * t), rel=1e-12)
    assert t_tails(t, 1e9) == pytest.approx(math.erfc(size / math.sqrt(2)), rel=1e-5, abs=1e-300)


def test_small_tails_keep_their_digits() -> None:
    assert t_tails(1e9, 1) == pytest.approx(2e-9 / math.pi, rel=1e-12)
    assert t_tails(math.inf, 4) == 0.0


def test_interval_over_seeds() -> None:
    estimate = summarise(seeds(0.90, 0.92, 0.94), test_ratio=0.5)

    assert estimate.mean == pytest.approx(0.92)
    assert estimate.deviation == pytest.approx(0.02)
    half = 4.3027 * 0.02 / math.sqrt(3)
    assert (estimate.low, estimate.high) == pytest.approx((0.92 - half, 0.92 + half), abs=1e-5)
    assert (estimate.count, estimate.left_out) == (3, 0)


def test_interval_over_folds_is_corrected() -> None:
    estimate = summarise(folds(0.8, 0.9, 0.7, 0.8, 0.8), test_ratio=1 / 4)

    half = 2.7764 * math.sqrt(0.005 * (1 / 5 + 1 / 4))
    assert estimate.high - estimate.mean == pytest.approx(half, abs=1e-5)


def test_higher_level_is_wider() -> None:
    narrow, wide = (summarise(seeds(1, 2, 4), test_ratio=0, level=each) for each in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_seeds_of_one_fold_count_once() -> None:
    several = {
        Replicate(fold=fold, repeat=repeat, seed=seed): fold + 10 * repeat + noise
        for fold in range(2)
        for repeat in range(2)
        for seed, noise in enumerate((-0.5, 0.0, 0.5))
    }

    estimate = summarise(several, test_ratio=1.0)
    once = summarise(folds(0, 1, 10, 11), test_ratio=1.0)

    assert estimate.count == 12
    assert (estimate.mean, estimate.low) == pytest.approx((once.mean, once.low))


def test_one_value_has_no_interval() -> None:
    estimate = summarise(folds(0.5), test_ratio=0.25)

    assert estimate.mean == 0.5
    assert all(math.isnan(each) for each in (estimate.deviation, estimate.low, estimate.p_value))


def test_nothing_has_no_mean() -> None:
    assert math.isnan(summarise({}, test_ratio=0.25).mean)
    assert math.isnan(compare(folds(1), {}, test_ratio=0.25).p_value)


def test_values_that_are_not_finite_are_left_out_and_counted() -> None:
    estimate = summarise(folds(0.5, math.nan, 0.7, math.inf), test_ratio=0.25)

    assert estimate.mean == pytest.approx(0.6)
    assert (estimate.count, estimate.left_out) == (2, 2)


def test_difference_by_hand() -> None:
    difference = compare(folds(0.9, 0.8, 0.7), folds(0.7, 0.7, 0.6), test_ratio=1 / 2)

    t = (0.4 / 3) / math.sqrt((0.01 / 3) * (1 / 3 + 1 / 2))
    assert difference.mean == pytest.approx(0.4 / 3)
    assert difference.p_value == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert difference.low < 0 < difference.high


def test_interval_and_test_agree() -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 5))
    p_value = compare(folds(*first), folds(*second), test_ratio=1 / 4).p_value

    difference = compare(folds(*first), folds(*second), test_ratio=1 / 4, level=1 - p_value)

    assert min(abs(difference.low), abs(difference.high)) == pytest.approx(0, abs=1e-12)


def test_what_both_have_is_paired() -> None:
    first, second = folds(1.0, 2.0, 3.5, math.nan), folds(0.0, 1.5)
    more = {**second, Replicate(fold=3): 1.0, Replicate(fold=7): 1.0}

    difference = compare(first, more, test_ratio=1 / 4)

    assert difference.mean == pytest.approx(0.75)
    assert (difference.count, difference.left_out) == (2, 3)


def test_order_of_the_scores_does_not_matter() -> None:
    first, second = folds(0.1, 0.4, 0.3), folds(0.2, 0.2, 0.7)
    backwards = dict(reversed(list(second.items())))

    assert compare(first, second, test_ratio=0.5) == compare(first, backwards, test_ratio=0.5)


def test_equal_scores_do_not_differ() -> None:
    scores = folds(0.1, 0.2, 0.3)

    difference = compare(scores, scores, test_ratio=0.5)

    assert (difference.p_value, difference.low, difference.high) == (1.0, 0.0, 0.0)


def test_differences_that_are_equal_but_for_rounding_are_not_tested() -> None:
    # 0.2 - 0.1 and 0.4 - 0.3 differ in the last digit, which is no measure of the noise.
    difference = compare(folds(0.2, 0.4, 0.9), folds(0.1, 0.3, 0.8), test_ratio=0.5)

    assert difference.deviation == 0.0
    assert math.isnan(difference.p_value)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_ignores_tests_without_a_p_value() -> None:
    adjusted = holm([math.nan, 0.02, 0.03])

    assert math.isnan(adjusted[0])
    assert adjusted[1:] == pytest.approx([0.04, 0.04])


def called_different(differences: np.ndarray, *, test_ratio: float) -> float:
    """Return the share of rows whose differences, one per fold, have a p-value below 5 %."""
    zeros = folds(*np.zeros(differences.shape[1]))
    tests: list[Estimate] = [
        compare(folds(*each), zeros, test_ratio=test_ratio) for each in differences
    ]
    return float(np.mean([test.p_value < 0.05 for test in tests]))


def test_size_if_folds_are_correlated_as_assumed() -> None:
    # The share of the training rows of one fold that another one does not have.
    rng, correlation = np.random.default_rng(0), 1 / 5
    shared, own = rng.normal(size=(2000, 1)), rng.normal(size=(2000, 5))
    differences = math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own

    assert 0.035 <= called_different(differences, test_ratio=1 / 4) <= 0.065
    assert called_different(differences, test_ratio=0.0) > 0.1


def test_size_for_nearest_neighbours_that_see_equally_useful_features() -> None:
    rng = np.random.default_rng(0)
    differences = np.stack([nearest_neighbour_differences(rng) for _ in range(500)])

    assert 0.025 <= called_different(differences, test_ratio=1 / 4) <= 0.075
    assert called_different(differences, test_ratio=0.0) > 0.08


def nearest_neighbour_differences(rng: np.random.Generator) -> np.ndarray:
    """Cross-validate two classifiers, each of which sees its half of the features."""
    inputs = rng.normal(size=(100, 2, 4))
    targets = np.sign(inputs.sum(axis=(1, 2)) + rng.normal(size=100))
    differences = np.empty(5)
    for fold in range(5):
        test = np.arange(100) % 5 == fold
        distances = ((inputs[test][:, None] - inputs[~test]) ** 2).sum(axis=-1)
        predicted = targets[~test][distances.argmin(axis=1)]
        accuracies = (predicted == targets[test][:, None]).mean(axis=0)
        differences[fold] = accuracies[0] - accuracies[1]
    return differences

"""Temperatures, calibration errors and thresholds whose values are known."""

import math

import numpy as np
import pytest

from leyden.comparison.calibration import (
    MAX_TEMPERATURE,
    calibration_error,
    choose_threshold,
    fit_temperature,
)
from leyden.errors import UserError


def nll(logits: np.ndarray, targets: np.ndarray, temperature: float) -> float:
    scaled = logits / temperature
    scaled = scaled - scaled.max(axis=1, keepdims=True)
    own = scaled[np.arange(len(targets)), targets]
    return float((np.log(np.exp(scaled).sum(axis=1)) - own).mean())


@pytest.fixture
def logits() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(500, 4))


def sampled(logits: np.ndarray) -> np.ndarray:
    """Draw targets from the probabilities of logits."""
    noise = np.random.default_rng(1).gumbel(size=logits.shape)
    return (logits + noise).argmax(axis=1)


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_temperature_has_the_least_nll(logits: np.ndarray, scale: float) -> None:
    targets = sampled(2 * logits)

    temperature = fit_temperature(2 * scale * logits, targets)

    assert temperature == pytest.approx(scale, rel=0.15)
    best = nll(2 * scale * logits, targets, temperature)
    for factor in (0.98, 1.02):
        assert best < nll(2 * scale * logits, targets, temperature * factor)


def test_temperature_of_log_odds_is_that_of_two_logits() -> None:
    log_odds = np.array([3.0, 2.0, -1.0, -4.0])
    targets = np.array([1, 0, 0, 0])
    both = np.stack([-log_odds / 2, log_odds / 2], axis=1)

    assert fit_temperature(log_odds, targets) == pytest.approx(fit_temperature(both, targets))


def test_temperature_does_not_depend_on_a_shift(logits: np.ndarray) -> None:
    targets = sampled(logits)

    shifted = fit_temperature(logits + 500.0, targets)

    assert shifted == pytest.approx(fit_temperature(logits, targets))


def test_rows_that_are_all_right_keep_their_confidence(logits: np.ndarray) -> None:
    assert fit_temperature(logits, logits.argmax(axis=1)) == 1.0
    assert fit_temperature(logits[:0], np.empty(0, dtype=np.int64)) == 1.0


def test_rows_that_are_all_wrong_lose_their_confidence(logits: np.ndarray) -> None:
    temperature = fit_temperature(logits, logits.argmin(axis=1))

    assert temperature == pytest.approx(MAX_TEMPERATURE)


def test_a_probability_of_zero_is_used_and_nan_is_not() -> None:
    logits = np.log([[0.8, 0.2]] * 1200)
    targets = np.repeat([0, 0, 1], 400)
    without = fit_temperature(logits, targets)

    with np.errstate(divide="ignore"):
        zero = np.log([[1.0, 0.0]])

    assert fit_temperature(np.vstack([logits, [[np.nan, 0]]]), np.append(targets, 0)) == without
    lowest = np.array([[0.0, np.log(np.finfo(np.float32).smallest_subnormal)]])
    impossible, nearly = (
        fit_temperature(np.vstack([logits, each]), np.append(targets, 1)) for each in (zero, lowest)
    )
    assert without < impossible == nearly < MAX_TEMPERATURE / 2


def test_calibration_error_by_hand() -> None:
    # Confidence 0.9 in 2 rows of which 1 is right, and 0.6 in 2 rows that are both right.
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.6, 0.4]])

    error = calibration_error(probabilities, np.array([0, 1, 1, 0]))

    assert error == pytest.approx((abs(0.9 - 0.5) + abs(0.6 - 1.0)) / 2)


def test_rows_of_one_bin_are_averaged_before_they_are_compared() -> None:
    # Confidences of 0.7 and 0.9 are 0.8 on average, as the accuracy of 4 in 5: no error in one bin.
    probabilities = np.array([0.7, 0.7, 0.8, 0.9, 0.9])
    targets = np.array([1, 1, 1, 1, 0])

    assert calibration_error(probabilities, targets, bins=1) == pytest.approx(0.0)
    assert calibration_error(probabilities, targets) > 0.1


def test_the_upper_edge_belongs_to_a_bin() -> None:
    probabilities, targets = np.array([0.5, 0.5 - 1e-9]), np.array([1, 0])

    assert calibration_error(probabilities, targets, bins=2) == pytest.approx(0.0, abs=1e-8)
    assert calibration_error(np.array([0.0, 1.0]), np.array([0, 1])) == 0.0


def test_calibration_error_without_usable_rows() -> None:
    assert math.isnan(calibration_error(np.array([np.nan]), np.array([1])))
    assert calibration_error(np.array([np.nan, 0.75]), np.array([1, 1])) == pytest.approx(0.25)


def test_temperature_lowers_the_calibration_error(logits: np.ndarray) -> None:
    targets, sure = sampled(logits), 5 * logits
    temperature = fit_temperature(sure, targets)

    before, after = (
        calibration_error(odds / odds.sum(axis=1, keepdims=True), targets)
        for odds in (np.exp(sure), np.exp(sure / temperature))
    )

    assert after < before / 4


@pytest.mark.parametrize(
    ("metric", "value", "score"),
    [("accuracy", 0.75, 6 / 7), ("balanced_accuracy", 0.35, 0.8), ("f1", 0.35, 2 / 3)],
)
def test_threshold_by_metric(metric: str, value: float, score: float) -> None:
    probabilities = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9])
    targets = np.array([0, 0, 0, 1, 0, 0, 1])

    chosen = choose_threshold(probabilities, targets, metric=metric)

    assert (chosen.value, chosen.score) == pytest.approx((value, score))


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "f1"])
def test_no_other_threshold_is_better(metric: str) -> None:
    rng = np.random.default_rng(2)
    targets = (rng.random(200) < 0.3).astype(np.int64)
    probabilities = np.clip(0.3 * targets + rng.random(200), 0, 1).round(2)  # with ties and ones

    chosen = choose_threshold(probabilities, targets, metric=metric)

    def score(threshold: float) -> float:
        predicted = probabilities >= threshold
        recalls = [np.mean(predicted[targets == each] == each) for each in (0, 1)]
        hits = np.sum(predicted & (targets == 1))
        return {
            "accuracy": np.mean(predicted == targets),
            "balanced_accuracy": np.mean(recalls),
            "f1": 2 * hits / (predicted.sum() + targets.sum()),
        }[metric]

    assert chosen.score == pytest.approx(score(chosen.value))
    assert chosen.score == pytest.approx(max(score(each) for each in np.linspace(0, 1.01, 1000)))


def test_of_equally_good_thresholds_the_closest_to_the_middle_is_chosen() -> None:
    # Thresholds of 0.2 and 0.75 are right in 3 of 4 rows.
    probabilities, targets = np.array([0.1, 0.3, 0.6, 0.9]), np.array([0, 1, 0, 1])

    chosen = choose_threshold(probabilities, targets, metric="accuracy")

    assert (chosen.value, chosen.score) == pytest.approx((0.75, 0.75))


def test_every_row_may_be_predicted_as_one_class() -> None:
    targets = np.array([1, 1, 1, 0])
    chosen = choose_threshold(np.array([0.2, 0.3, 0.4, 0.9]), targets, metric="accuracy")

    assert chosen.value < 0.2
    assert chosen.score == 0.75


def test_faulty_requests_are_explained() -> None:
    with pytest.raises(UserError, match="Did you mean 'balanced_accuracy'"):
        choose_threshold(np.array([0.1, 0.2]), np.array([0, 1]), metric="balanced_acuracy")
    with pytest.raises(UserError, match="0 rows of class 1"):
        choose_threshold(np.array([0.1, np.nan]), np.array([0, 1]), metric="f1")

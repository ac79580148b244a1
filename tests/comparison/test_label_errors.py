"""Confident learning on small cases by hand, and on digits with planted errors."""

import numpy as np
import pytest

from leyden.comparison.label_errors import class_thresholds, find_label_errors, label_margins
from leyden.data.sets.digits import FILE


def test_thresholds_are_the_mean_confidence_in_the_own_label() -> None:
    probabilities = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])

    assert class_thresholds(probabilities, np.array([0, 0, 1])) == pytest.approx([0.7, 0.8])


def test_no_row_is_confidently_of_a_class_without_rows() -> None:
    probabilities = np.array([[0.2, 0.1, 0.7], [0.2, 0.1, 0.7], [0.1, 0.8, 0.1]])

    errors = find_label_errors(probabilities, np.array([0, 0, 1]))

    assert class_thresholds(probabilities, np.array([0, 0, 1]))[2] == np.inf
    assert errors.suggested.tolist() == [0, 0, 1]
    assert errors.suspects.tolist() == []


def test_the_probability_is_compared_with_the_threshold_of_its_own_class() -> None:
    # Thresholds are 0.6 and 0.8. The last row is predicted as class 1, but not confidently; the one
    # before it reaches the threshold of class 1, so that its label 0 is suspected.
    of_class_1 = np.array([0.05, 0.05, 0.8, 0.8, 0.9, 0.6])
    probabilities = np.stack([1 - of_class_1, of_class_1], axis=1)
    targets = np.array([0, 0, 1, 1, 0, 0])

    errors = find_label_errors(probabilities, targets)

    assert class_thresholds(probabilities, targets) == pytest.approx([0.6, 0.8])
    assert errors.suspects.tolist() == [4]
    assert errors.ranking.tolist() == [4, 5, 2, 3, 0, 1]


def test_of_several_confident_classes_the_most_probable_counts() -> None:
    # Two unsure classes have low thresholds, both of which the last row reaches.
    probabilities = np.array([[0.4, 0.3, 0.3], [0.3, 0.4, 0.3], [0.35, 0.45, 0.2]])

    errors = find_label_errors(probabilities, np.array([0, 1, 0]))

    assert errors.suggested.tolist() == [0, 1, 1]


def test_margin_is_negative_if_another_class_is_more_probable() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])

    assert label_margins(probabilities, np.array([0, 2])) == pytest.approx([0.2, -0.3])


def test_rows_without_finite_probabilities_are_neither_ranked_nor_used() -> None:
    probabilities = np.array([[0.9, 0.1], [np.nan, 0.9], [0.2, 0.8], [0.9, 0.1]])

    errors = find_label_errors(probabilities, np.array([0, 0, 1, 1]))

    assert errors.ranking.tolist() == [3, 2, 0]
    assert np.isnan(errors.margins[1])
    assert errors.suggested[1] == 0
    assert errors.suspects.tolist() == [3]


def test_planted_errors_are_ranked_first() -> None:
    table = np.loadtxt(FILE, delimiter=",", dtype=np.int64)
    inputs, classes = table[:, :-1] / 16, table[:, -1]
    rng = np.random.default_rng(0)
    wrong = rng.choice(len(classes), round(0.03 * len(classes)), replace=False)
    labels = classes.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, len(wrong))) % 10

    errors = find_label_errors(out_of_fold(inputs, labels), labels)

    assert np.isin(errors.ranking[: len(wrong)], wrong).mean() >= 0.6
    assert (errors.suggested == classes)[wrong].mean() >= 0.5


def out_of_fold(inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Predict every row by Gaussians of the classes, fitted on the other four fifths."""
    probabilities = np.empty((len(labels), 10))
    for fold in range(5):
        train = np.arange(len(labels)) % 5 != fold
        means = np.stack([inputs[train][labels[train] == each].mean(axis=0) for each in range(10)])
        distances = ((inputs[~train][:, None] - means) ** 2).sum(axis=-1)
        odds = np.exp(2 * (distances.min(axis=1, keepdims=True) - distances))
        probabilities[~train] = odds / odds.sum(axis=1, keepdims=True)
    return probabilities

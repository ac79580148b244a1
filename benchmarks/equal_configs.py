"""How often two configs of equal merit are called different, and unequal ones are found.

Every pair of configs is cross-validated on a data set of its own, with shared folds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from leyden.comparison.statistics import Replicate, Scores, compare
from measure import write_section

PAIRS = 2000

FEATURES = 10

NOTE = (
    f"{PAIRS} simulated pairs each, {FEATURES} features of a noisy linear problem, accuracy, "
    "level of 5 %. *Seeds*: one config with two seeds, each of which draws the first layer of a "
    "network for all folds. *Halves*: two configs that see different features of equal use, so "
    "that their expected accuracies are exactly equal. *Corrected* is the test of `leyden report`, "
    "*plain* the paired t-test without a correction. Power: how often a pair is called different "
    "whose true difference is 2 standard deviations of the mean difference."
)

HEADER = ["pair", "learner", "rows", "folds", "repeats", "plain", "corrected", "power"]

Array = NDArray[np.float64]

Learner = Callable[[Array, Array, Array, np.random.Generator], Array]
"""Function of training inputs, their targets of -1 and 1, test inputs and a generator: outputs."""


def ridge(inputs: Array, targets: Array, tested: Array, _: np.random.Generator) -> Array:
    """Fit a ridge regression in closed form."""
    gram = inputs.T @ inputs + np.eye(inputs.shape[1])
    outputs: Array = tested @ np.linalg.solve(gram, inputs.T @ targets)
    return outputs


def random_features(
    inputs: Array, targets: Array, tested: Array, seed: np.random.Generator
) -> Array:
    """Fit the last layer of a network of 40 hidden units, whose first layer is random."""
    weights, bias = seed.normal(size=(inputs.shape[1], 40)), seed.normal(size=40)
    hidden, tested_hidden = (np.maximum(each @ weights + bias, 0) for each in (inputs, tested))
    return ridge(hidden, targets, tested_hidden, seed)


def nearest_neighbour(
    inputs: Array, targets: Array, tested: Array, _: np.random.Generator
) -> Array:
    """Return the target of the nearest training row."""
    squares = (inputs**2).sum(axis=1) - 2 * tested @ inputs.T
    return targets[squares.argmin(axis=1)]


def stump(inputs: Array, targets: Array, tested: Array, _: np.random.Generator) -> Array:
    """Classify by the sign of the feature that is correlated most."""
    covariances = inputs.T @ targets
    best = np.abs(covariances).argmax()
    return tested[:, best] * covariances[best]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One simulation.

    Attributes:
        learner: What both configs train.
        pair: ``seeds``, ``seeds of folds`` (drawn anew in each fold) or ``halves``.
        rows: Rows of each data set.
        folds: Number of folds.
        repeats: Cross-validations of each data set, with folds of their own.
    """

    learner: Learner
    pair: str
    rows: int
    folds: int = 5
    repeats: int = 1


SETTINGS = [
    Setting(learner=random_features, pair="seeds", rows=1000),
    Setting(learner=random_features, pair="seeds", rows=1000, folds=10),
    Setting(learner=random_features, pair="seeds", rows=1000, repeats=3),
    Setting(learner=nearest_neighbour, pair="halves", rows=200),
    Setting(learner=nearest_neighbour, pair="halves", rows=200, repeats=3),
    Setting(learner=stump, pair="halves", rows=200),
    Setting(learner=stump, pair="halves", rows=200, repeats=3),
    Setting(learner=ridge, pair="halves", rows=200),
    Setting(learner=ridge, pair="halves", rows=200, repeats=3),
    Setting(learner=random_features, pair="seeds of folds", rows=1000),
]


def main() -> None:
    """Simulate all settings."""
    rows = []
    for setting in SETTINGS:
        rates = simulate(setting)
        sizes = [str(setting.rows), str(setting.folds), str(setting.repeats)]
        shares = [f"{100 * rates[name]:.1f} %" for name in HEADER[-3:]]
        rows.append([setting.pair, setting.learner.__name__.replace("_", " "), *sizes, *shares])
    write_section("Equal configs that are called different", NOTE, HEADER, rows)


def simulate(setting: Setting, *, pairs: int = PAIRS) -> dict[str, float]:
    """Return the share of pairs that each test calls different, and the power."""
    rng = np.random.default_rng(0)
    scores = [cross_validated(setting, rng) for _ in range(pairs)]
    means = [np.mean([first[at] - second[at] for at in first]) for first, second in scores]
    better = 2 * float(np.std(means))
    unequal = [({at: x + better for at, x in first.items()}, second) for first, second in scores]
    ratio = 1 / (setting.folds - 1)
    return {
        "plain": called_different(scores, test_ratio=0.0),
        "corrected": called_different(scores, test_ratio=ratio),
        "power": called_different(unequal, test_ratio=ratio),
    }


def called_different(scores: Sequence[tuple[Scores, Scores]], *, test_ratio: float) -> float:
    """Return the share of pairs with a p-value below 5 %."""
    tests = [compare(first, second, test_ratio=test_ratio) for first, second in scores]
    return float(np.mean([test.p_value < 0.05 for test in tests]))


def cross_validated(setting: Setting, rng: np.random.Generator) -> tuple[Scores, Scores]:
    """Draw a data set, and cross-validate two configs on the same folds."""
    inputs = rng.normal(size=(setting.rows, FEATURES))
    weights = np.tile(rng.normal(size=FEATURES // 2), 2)
    noise = np.linalg.norm(weights) / 2 * rng.normal(size=setting.rows)
    targets = np.sign(inputs @ weights + noise)
    halves = setting.pair == "halves"
    views = (inputs[:, : FEATURES // 2], inputs[:, FEATURES // 2 :]) if halves else (inputs, inputs)
    seeds = rng.integers(2**32, size=2)
    scores: tuple[dict[Replicate, float], dict[Replicate, float]] = ({}, {})
    for repeat in range(setting.repeats):
        folds = rng.permutation(setting.rows) % setting.folds
        for fold in range(setting.folds):
            test = folds == fold
            if setting.pair == "seeds of folds":
                seeds = rng.integers(2**32, size=2)
            for view, seed, of_config in zip(views, seeds, scores, strict=True):
                generator = np.random.default_rng(seed)
                outputs = setting.learner(view[~test], targets[~test], view[test], generator)
                accuracy = np.mean((outputs > 0) == (targets[test] > 0))
                of_config[Replicate(fold=fold, repeat=repeat)] = float(accuracy)
    return scores


if __name__ == "__main__":
    main()

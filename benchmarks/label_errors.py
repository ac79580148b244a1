"""How many planted label errors are among the rows that confident learning lists first."""

import csv
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from leyden.comparison.label_errors import find_label_errors
from leyden.config.compose import compose, freeze
from leyden.data.sets.digits import FILE as DIGITS
from leyden.data.sets.penguins import FILE as PENGUINS
from leyden.workflows.assembly import build_data
from measure import spread, write_section

SEEDS = 10

FOLDS = 5

PLANTED = 0.03

MEASURES = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")

NOTE = (
    f"{PLANTED:.0%} of the labels are replaced by another class. Logistic regressions on "
    f"standardised inputs give out-of-fold probabilities in {FOLDS} folds. *Found* is the share of "
    "planted errors among as many rows that are ranked first; *precision* that among the rows that "
    "are suspected. Median (least to greatest)."
)

Array = NDArray[np.float64]

Classes = NDArray[np.int64]


def main() -> None:
    """Plant errors with several seeds."""
    rows = [_measured("digits", *digits()), _measured("penguins", *penguins())]
    header = ["data", "n", "rows", "planted", "suspects", "found", "precision"]
    write_section("Planted label errors", NOTE, header, rows)


def digits() -> tuple[Array, Classes]:
    """Read the digits: ``(rows, 64)`` pixels and classes."""
    table = np.loadtxt(DIGITS, delimiter=",", dtype=np.int64)
    return table[:, :-1].astype(np.float64), table[:, -1]


def penguins() -> tuple[Array, Classes]:
    """Read the penguins that were measured: ``(rows, 4)`` measures and species."""
    data = build_data(freeze(compose(["data=penguins"])))
    with (data.files.folder() / PENGUINS).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row[MEASURES[0]] != "NA"]
    _, species = np.unique([row["species"] for row in rows], return_inverse=True)
    return np.array([[float(row[name]) for name in MEASURES] for row in rows]), species


def _measured(name: str, inputs: Array, classes: Classes) -> list[str]:
    results = [planted_and_found(inputs, classes, seed) for seed in range(SEEDS)]
    suspects, found, precision = zip(*results, strict=True)
    planted = round(PLANTED * len(classes))
    counts = [str(SEEDS), str(len(classes)), str(planted)]
    return [name, *counts, spread(suspects, 0), spread(found), spread(precision)]


def planted_and_found(inputs: Array, classes: Classes, seed: int) -> Sequence[float]:
    """Return the number of suspects, the share of errors found, and the precision."""
    rng = np.random.default_rng(seed)
    count = classes.max() + 1
    wrong = rng.choice(len(classes), round(PLANTED * len(classes)), replace=False)
    labels = classes.copy()
    labels[wrong] = (labels[wrong] + rng.integers(1, count, len(wrong))) % count
    errors = find_label_errors(out_of_fold(inputs, labels, rng), labels)
    found = np.isin(errors.ranking[: len(wrong)], wrong).mean()
    return len(errors.suspects), float(found), float(np.isin(errors.suspects, wrong).mean())


def out_of_fold(inputs: Array, labels: Classes, rng: np.random.Generator) -> Array:
    """Return the probabilities ``(rows, classes)`` of rows by a model of the other folds."""
    folds = rng.permutation(len(labels)) % FOLDS
    probabilities = np.empty((len(labels), labels.max() + 1))
    for fold in range(FOLDS):
        train = folds != fold
        mean, deviation = inputs[train].mean(axis=0), inputs[train].std(axis=0) + 1e-6
        scaled = np.c_[(inputs - mean) / deviation, np.ones(len(inputs))]
        weights = logistic_regression(scaled[train], labels[train], probabilities.shape[1])
        probabilities[~train] = softmax(scaled[~train] @ weights)
    return probabilities


def logistic_regression(inputs: Array, labels: Classes, classes: int) -> Array:
    """Fit weights ``(inputs, classes)`` with weight decay by gradient descent with momentum."""
    weights = velocity = np.zeros((inputs.shape[1], classes))
    targets = np.eye(classes)[labels]
    for _ in range(300):
        gradient = inputs.T @ (softmax(inputs @ weights) - targets) / len(inputs)
        velocity = 0.9 * velocity - 0.1 * (gradient + 0.003 * weights)
        weights = weights + velocity
    return weights


def softmax(logits: Array) -> Array:
    """Return probabilities of the same shape."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = odds / odds.sum(axis=1, keepdims=True)
    return shares


if __name__ == "__main__":
    main()

"""Confident learning: which rows probably have a wrong label.

Northcutt, Jiang & Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"
(arXiv:1911.00068). The probabilities have to be out-of-fold: a network predicts the labels that it
was trained on, right or wrong.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating]

Classes = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LabelErrors:
    """What the predictions say about each label.

    Attributes:
        suggested: ``(rows,)`` int64 class that a row probably belongs to; its label if there is no
            reason to doubt it.
        margins: ``(rows,)`` float64 probability of the label minus the highest of the other
            classes, in [-1, 1]; NaN if a probability is not finite.
        ranking: ``(rows,)`` int64 numbers of all rows by margin, the most doubtful label first;
            without those of NaN.
        suspects: ``(suspects,)`` int64 numbers of the rows whose label is probably wrong, in the
            same order.
    """

    suggested: Classes
    margins: NDArray[np.float64]
    ranking: Classes
    suspects: Classes


def find_label_errors(probabilities: Probabilities, targets: Classes) -> LabelErrors:
    """Find the rows that are confidently predicted as another class than their label.

    A row confidently belongs to a class if its probability reaches the class's threshold; to the
    most probable class if it reaches several. These are the off-diagonal rows of the confident
    joint (section 3.1), ranked by normalised margin (section 3.2).

    Args:
        probabilities: ``(rows, classes)`` out-of-fold probabilities.
        targets: ``(rows,)`` labels.

    Example:
        >>> sure_of = np.array([0, 0, 0, 1, 1, 1])
        >>> probabilities = np.where(np.eye(2)[sure_of] == 1, 0.9, 0.1)
        >>> errors = find_label_errors(probabilities, np.array([0, 0, 0, 1, 1, 0]))
        >>> errors.suspects, errors.suggested[errors.suspects]
        (array([5]), array([1]))
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    thresholds = class_thresholds(probabilities, targets)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    margins = label_margins(probabilities, targets)
    is_confident = (confident.max(axis=1) >= 0) & np.isfinite(margins)
    suggested = np.where(is_confident, confident.argmax(axis=1), targets)
    ranking = np.argsort(margins, kind="stable")[: np.isfinite(margins).sum()]
    suspects = ranking[suggested[ranking] != targets[ranking]]
    return LabelErrors(suggested=suggested, margins=margins, ranking=ranking, suspects=suspects)


def class_thresholds(probabilities: Probabilities, targets: Classes) -> NDArray[np.float64]:
    """Return the mean probability ``(classes,)`` of each class over the rows with its label.

    It is infinite for a class without rows, to which no row confidently belongs. Rows with
    probabilities that are not finite are left out.
    """
    finite = np.isfinite(probabilities).all(axis=1)
    own = probabilities[finite, targets[finite]]
    counts = np.bincount(targets[finite], minlength=probabilities.shape[1])
    sums = np.bincount(targets[finite], weights=own, minlength=probabilities.shape[1])
    return np.where(counts > 0, sums / counts.clip(min=1), np.inf)


def label_margins(probabilities: Probabilities, targets: Classes) -> NDArray[np.float64]:
    """Return the probability ``(rows,)`` of the label minus the highest of the other classes."""
    rows = np.arange(len(targets))
    others = np.array(probabilities, dtype=np.float64)
    others[rows, targets] = -np.inf
    margins: NDArray[np.float64] = probabilities[rows, targets] - others.max(axis=1)
    return np.where(np.isfinite(probabilities).all(axis=1), margins, np.nan)

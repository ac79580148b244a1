import numpy as np
import pytest


@pytest.fixture
def f1():
    """Return a function of targets and predictions ``(rows, classes)``: F1 of each class."""

    def of(members, predicted):
        both = np.logical_and(members, predicted).sum(axis=0)
        return 2 * both / (np.sum(members, axis=0) + np.sum(predicted, axis=0))

    return of


@pytest.fixture
def auroc():
    """Return a function of targets and scores ``(rows, classes)``: AUROC of each class."""

    def of_one(members, scores):
        inside, outside = scores[members][:, np.newaxis], scores[~members]
        return (inside > outside).mean() + (inside == outside).mean() / 2

    def of(members, scores):
        pairs = zip(members.astype(bool).T, scores.T, strict=True)
        return np.array([of_one(*pair) for pair in pairs])

    return of

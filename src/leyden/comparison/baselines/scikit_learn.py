"""Baselines of scikit-learn: gradient boosting on histograms, and nearest neighbours."""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import OneHotEncoder
from torch import Tensor
from torch.nn import functional

from leyden.comparison.baselines.models import LEAST, Predictor, Problem
from leyden.data.features import Features

NEIGHBOURS = (1, 5, 15, 50)
"""Numbers of neighbours, of which validation chooses one."""

COMPONENTS = 100
"""Dimensions to which sparse features are reduced."""

MOST_CATEGORIES = 255
"""Most values of a column that gradient boosting takes as categories; codes of more are ordered."""


def fit_gradient_boosting(problem: Problem) -> Predictor:
    """Fit one boosted ensemble of trees, or one for each label, with scikit-learn's defaults."""
    features, targets = problem.train.features, problem.train.targets.numpy()
    arrays = _Arrays(features, problem.seed, one_hot=False)
    inputs = arrays(features)
    is_category = [False] * (inputs.shape[1] - len(features.cardinalities))
    is_category += [count <= MOST_CATEGORIES for count in features.cardinalities]
    options: dict[str, Any] = {
        "categorical_features": is_category if any(is_category) else None,
        "random_state": problem.seed,
    }
    if problem.kind == "number":
        trees = HistGradientBoostingRegressor(**options).fit(inputs, targets[:, 0])
        return lambda rows: torch.from_numpy(trees.predict(arrays(rows))).float()[:, None]
    classes = HistGradientBoostingClassifier
    if problem.kind == "class":
        model = _fit_classes(classes(**options), inputs, targets, problem.num_outputs)
        return lambda rows: model(arrays(rows)).log()
    labels = [_fit_classes(classes(**options), inputs, column, 2) for column in targets.T]
    return lambda rows: torch.stack([fit(arrays(rows))[:, 1] for fit in labels], 1).logit()


def _fit_classes(model: Any, inputs: Any, targets: NDArray[Any], num_classes: int) -> Any:
    """Fit a classifier, and return a function that computes probabilities of all classes."""
    present = np.unique(targets)
    if len(present) > 1:
        model.fit(inputs, targets)

    def probabilities(rows: Any) -> Tensor:
        found = np.zeros((len(rows), num_classes))
        found[:, present.astype(np.int64)] = model.predict_proba(rows) if len(present) > 1 else 1
        return torch.from_numpy(found).clamp(LEAST, 1 - LEAST).float()

    return probabilities


def fit_nearest_neighbours(problem: Problem) -> Predictor:
    """Average the targets of the nearest training rows, of a number that validation chooses."""
    features, targets = problem.train.features, problem.train.targets
    arrays = _Arrays(features, problem.seed, one_hot=True)
    most = min(max(NEIGHBOURS), len(features))
    search = NearestNeighbors(n_neighbors=most).fit(arrays(features))
    votes = targets
    if problem.kind == "class":
        votes = functional.one_hot(targets, problem.num_outputs).float()
    found = {}  # neighbours of the validation rows are the same for all numbers of them

    def predict(rows: Features, *, count: int) -> Tensor:
        if id(rows) not in found:
            found[id(rows)] = torch.from_numpy(search.kneighbors(arrays(rows))[1])
        mean = votes[found[id(rows)][:, :count]].mean(dim=1)
        if problem.kind == "number":
            return mean
        # One vote for the frequencies of training keeps the loss finite.
        mean = (count * mean + votes.mean(dim=0)) / (count + 1)
        smooth = mean.clamp(LEAST, 1 - LEAST)
        return smooth.log() if problem.kind == "class" else smooth.logit()

    fits = [partial(predict, count=min(count, most)) for count in NEIGHBOURS]
    return min(
        fits, key=problem.validation_loss
    )  # without validation rows all are NaN, and min takes the first


class _Arrays:
    """Arrays that scikit-learn takes: numbers, reduced sparse features, and categories."""

    def __init__(self, training: Features, seed: int, *, one_hot: bool) -> None:
        self.svd = self.encoder = None
        if training.sparse is not None:
            width = min(COMPONENTS, training.sparse.shape[1] - 1)
            self.svd = TruncatedSVD(width, random_state=seed).fit(_matrix(training.sparse))
        if one_hot and training.cardinalities:
            values = [np.arange(count) for count in training.cardinalities]
            self.encoder = OneHotEncoder(categories=values, dtype=np.float32)
            self.encoder.fit(training.categories.numpy())

    def __call__(self, features: Features) -> Any:
        parts: list[Any] = [features.numbers.numpy()]
        if self.svd is not None and features.sparse is not None:
            parts.append(self.svd.transform(_matrix(features.sparse)).astype(np.float32))
        codes = features.categories.numpy()
        if self.encoder is not None:
            return sparse.hstack([*parts, self.encoder.transform(codes)], format="csr")
        if features.cardinalities:
            parts.append(codes.astype(np.float32))
        return np.concatenate(parts, axis=1)


def _matrix(rows: Tensor) -> Any:
    parts = (rows.values(), rows.col_indices(), rows.crow_indices())
    return sparse.csr_matrix(tuple(part.numpy() for part in parts), shape=tuple(rows.shape))

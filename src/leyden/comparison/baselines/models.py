"""Baselines in plain torch: models whose outputs a task measures like the logits of a network."""

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from leyden.data.features import Features

Kind = Literal["class", "labels", "number"]
"""Kind of the targets."""

Predictor = Callable[[Features], Tensor]
"""Maps features to outputs as a task expects them: logits ``(rows, outputs)`` float32, of numbers
in units of the standard deviation of the training targets."""

STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Weights of the L2 penalty of the linear model, of which validation chooses one."""

USUAL_STRENGTH = 1e-3
"""The weight that is used without validation rows."""

LEAST = 1e-6
"""Least probability of a class, so that the loss of a wrong one is finite."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rows of one split.

    Attributes:
        features: Features of the rows.
        targets: Class indices ``(rows,)`` int64, labels ``(rows, labels)`` float32, or standardised
            numbers ``(rows, 1)`` float32.
    """

    features: Features
    targets: Tensor


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What a baseline learns.

    Attributes:
        kind: Kind of the targets.
        num_outputs: Number of classes or labels; 1 for a number.
        train: Rows to learn from.
        val: Rows on which settings are chosen; there may be none.
        seed: Seed of models that draw at random.
    """

    kind: Kind
    num_outputs: int
    train: Examples
    val: Examples
    seed: int

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss ``()`` of outputs: log loss, or half the mean squared error."""
        if self.kind == "class":
            return functional.cross_entropy(outputs, targets)
        if self.kind == "labels":
            return functional.binary_cross_entropy_with_logits(outputs, targets)
        return functional.mse_loss(outputs, targets) / 2

    def validation_loss(self, predict: Predictor) -> float:
        """Return the mean loss on the validation rows; NaN if there are none."""
        if not len(self.val.features):
            return math.nan
        return self.loss(predict(self.val.features), self.val.targets).item()


def fit_constant(problem: Problem) -> Predictor:
    """Predict the frequency of each class or label, or the mean, whatever the features."""
    targets = problem.train.targets
    if problem.kind == "class":
        counts = torch.bincount(targets, minlength=problem.num_outputs)
        outputs = (counts / counts.sum()).clamp(min=LEAST).log()
    elif problem.kind == "labels":
        outputs = targets.mean(dim=0).logit(eps=LEAST)
    else:
        outputs = targets.mean(dim=0)
    return lambda features: outputs.expand(len(features), -1)


def fit_linear(problem: Problem) -> Predictor:
    """Fit a linear model by L-BFGS: softmax, logistic or ridge regression.

    The L2 penalty is lowered as long as that lowers the validation loss, each fit beginning where
    the last one ended.
    """
    best: Predictor | None = None
    lowest = math.inf
    features = problem.train.features
    model = Linear(features, problem.num_outputs)
    transposed = None if features.sparse is None else features.sparse.t().to_sparse_csr()
    for strength in STRENGTHS if len(problem.val.targets) else (USUAL_STRENGTH,):
        _fit(model, problem, strength, transposed)
        fitted: Predictor = torch.no_grad()(deepcopy(model))
        loss = problem.validation_loss(fitted)
        if best is not None and loss >= lowest:
            break
        best, lowest = fitted, loss
    assert best is not None
    return best


def _fit(model: "Linear", problem: Problem, strength: float, transposed: Tensor | None) -> None:
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def penalised_loss() -> Tensor:
        optimizer.zero_grad()
        penalty = torch.stack([each.square().sum() for each in model.weights]).sum() / 2
        outputs = model(problem.train.features, transposed=transposed)
        loss: Tensor = problem.loss(outputs, problem.train.targets) + strength * penalty
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(penalised_loss)  # type: ignore[no-untyped-call]


class Linear(nn.Module):
    """Linear function of all features; categories are one-hot, without being written out."""

    def __init__(self, features: Features, num_outputs: int) -> None:
        super().__init__()
        sparse = 0 if features.sparse is None else features.sparse.shape[1]
        widths = (features.numbers.shape[1], sum(features.cardinalities), sparse)
        self.weights = nn.ParameterList(torch.zeros(width, num_outputs) for width in widths)
        self.bias = nn.Parameter(torch.zeros(num_outputs))
        ends = torch.tensor([0, *features.cardinalities]).cumsum(0)
        self.offsets = ends[:-1]

    def forward(self, features: Features, *, transposed: Tensor | None = None) -> Tensor:
        """Return outputs ``(rows, num_outputs)``.

        Args:
            features: Features of the rows.
            transposed: Transpose of ``features.sparse``, for the backward pass.
        """
        numbers, categories, sparse = self.weights
        outputs: Tensor = features.numbers @ numbers + self.bias
        if features.cardinalities:
            codes = features.categories + self.offsets
            outputs = outputs + functional.embedding_bag(codes, categories, mode="sum")
        if features.sparse is not None:
            product: Any = _SparseProduct
            outputs = outputs + product.apply(sparse, features.sparse, transposed)
        return outputs


class _SparseProduct(torch.autograd.Function):
    """Product of a constant CSR matrix and a dense one.

    torch's own backward pass transposes the matrix in each step, which takes most of its time.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, matrix: Tensor, transposed: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return ctx.transposed @ gradients[0], None, None

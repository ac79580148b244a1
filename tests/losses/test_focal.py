"""Focal loss, compared with its formula and with cross-entropy."""

import math

import pytest
import torch
from torch.nn import functional

from leyden.losses.focal import FocalLoss


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.tensor([0, 1, 2, 3, 0, 1])


def test_value_of_the_paper() -> None:
    # Two classes, probability 0.9 of the target: 0.01 of cross-entropy (Lin et al., section 3.2)
    logits = torch.tensor([[math.log(9.0), 0.0]])

    loss = FocalLoss(gamma=2.0)(logits, torch.tensor([0]))

    assert loss.item() == pytest.approx(-math.log(0.9) * 0.1**2, rel=1e-5)


def test_averages_over_the_batch(logits: torch.Tensor, labels: torch.Tensor) -> None:
    loss = FocalLoss(gamma=1.5)
    each = [loss(row[None], label[None]) for row, label in zip(logits, labels, strict=True)]

    torch.testing.assert_close(loss(logits, labels), torch.stack(each).mean())


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_gamma_zero_is_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float
) -> None:
    loss = FocalLoss(gamma=0.0, label_smoothing=label_smoothing)
    soft = functional.softmax(logits.flip(0), dim=1)

    for targets in (labels, soft):
        expected = functional.cross_entropy(logits, targets, label_smoothing=label_smoothing)
        torch.testing.assert_close(loss(logits, targets), expected)


def test_soft_targets_equal_hard_ones(logits: torch.Tensor, labels: torch.Tensor) -> None:
    loss = FocalLoss(gamma=2.0, label_smoothing=0.1)
    soft = functional.one_hot(labels, 4).double()

    torch.testing.assert_close(loss(logits, soft), loss(logits, labels))


def test_mixed_targets_interpolate_the_loss(logits: torch.Tensor) -> None:
    loss = FocalLoss(gamma=2.0)
    first, second = torch.zeros(6, dtype=torch.int64), torch.ones(6, dtype=torch.int64)
    mixed = 0.3 * functional.one_hot(first, 4) + 0.7 * functional.one_hot(second, 4)

    expected = 0.3 * loss(logits, first) + 0.7 * loss(logits, second)

    torch.testing.assert_close(loss(logits, mixed), expected, check_dtype=False)


def test_easy_examples_are_down_weighted() -> None:
    easy, hard = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    label = torch.tensor([0])

    def ratio(logits: torch.Tensor) -> float:
        focal, plain = FocalLoss(gamma=2.0)(logits, label), FocalLoss(gamma=0.0)(logits, label)
        return (focal / plain).item()

    assert ratio(easy) < 0.001
    assert ratio(hard) > 0.9


def test_half_precision_logits_are_computed_in_float32(labels: torch.Tensor) -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).bfloat16() * 4
    loss = FocalLoss(gamma=2.0)

    torch.testing.assert_close(loss(logits, labels), loss(logits.float(), labels))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saturated_logits_have_finite_gradients(gamma: float, dtype: torch.dtype) -> None:
    logits = torch.tensor([[1e4, 0.0], [0.0, 1e4]], dtype=dtype, requires_grad=True)

    FocalLoss(gamma=gamma)(logits, torch.tensor([0, 0])).backward()

    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[1].abs().sum() > 0  # the misclassified row


@pytest.mark.parametrize("arguments", [{"gamma": -1.0}, {"label_smoothing": 1.5}], ids=str)
def test_bad_arguments_are_named(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        FocalLoss(**arguments)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_class_weights_equal_those_of_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, label_smoothing: float
) -> None:
    weight = torch.tensor([1.0, 0.5, 3.0, 0.0], dtype=torch.float64)
    loss = FocalLoss(gamma=0.0, label_smoothing=label_smoothing, weight=weight.tolist()).double()
    soft = functional.softmax(logits.flip(0), dim=1)

    for targets in (labels, soft):
        expected = functional.cross_entropy(
            logits, targets, weight=weight, label_smoothing=label_smoothing
        )
        torch.testing.assert_close(loss(logits, targets), expected)

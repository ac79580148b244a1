import pytest
import torch
from torchmetrics import MeanAbsoluteError, R2Score

from leyden.tasks.pooled_metrics import POOLED_VALUES, PooledMetrics

ROWS = 100


@pytest.fixture
def metrics():
    return PooledMetrics({"mae": MeanAbsoluteError(), "r2": R2Score()})


@pytest.fixture
def rows():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, ROWS, generator=generator).unbind()


@pytest.mark.parametrize("batch_size", [1, 7, ROWS])
@pytest.mark.parametrize("pooled", [1, 20, POOLED_VALUES])
def test_batches_do_not_change_what_is_measured(metrics, rows, batch_size, pooled, monkeypatch):
    monkeypatch.setattr("leyden.tasks.pooled_metrics.POOLED_VALUES", pooled)
    predicted, targets = rows
    for batch in torch.arange(ROWS).split(batch_size):
        metrics.update(predicted[batch], targets[batch])

    measured = metrics.compute()

    error = predicted - targets
    spread = (targets - targets.mean()).square().sum()
    assert measured["mae"] == pytest.approx(error.abs().mean().item(), rel=1e-5)
    assert measured["r2"] == pytest.approx((1 - error.square().sum() / spread).item(), rel=1e-4)
    assert metrics.compute() == measured


def test_not_more_wait_than_memory_bears(metrics):
    values = torch.zeros(POOLED_VALUES // 4)

    waiting = []
    for _ in range(9):
        metrics.update(values, values)
        waiting.append(len(metrics.waiting))

    assert waiting == [1, 2, 3, 0, 1, 2, 3, 0, 1]


def test_what_was_forgotten_does_not_come_back(metrics, rows):
    predicted, targets = rows
    metrics.update(predicted + 1000, targets)
    metrics.reset()
    metrics.update(targets, targets)

    assert metrics.compute()["mae"] == 0

"""Batch norms that are synchronised across ranks on the CPU."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from leyden.strategies.synced_norm import SYNCED, sync_batch_norms

SHAPES = {nn.BatchNorm1d: (6, 3), nn.BatchNorm2d: (6, 3, 4, 5), nn.BatchNorm3d: (6, 3, 2, 2, 2)}


@pytest.fixture
def one_rank() -> Iterator[None]:
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("one_rank")
@pytest.mark.parametrize("kind", SYNCED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}, {"eps": 0.1}],
    ids=str,
)
def test_one_rank_equals_batch_norm(kind: type[nn.Module], options: dict[str, object]) -> None:
    norm = kind(3, **options)
    other = sync_batch_norms(nn.Sequential(copy.deepcopy(norm)))
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        batch = 5 + 2 * torch.randn(SHAPES[kind], generator=generator)
        first, second = (batch.clone().requires_grad_() for _ in range(2))
        weights = torch.randn(batch.shape, generator=generator)
        expected, found = norm(first), other(second)
        (expected * weights).sum().backward()
        (found * weights).sum().backward()
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(second.grad, first.grad, rtol=1e-4, atol=1e-5)

    for name, value in norm.state_dict().items():
        torch.testing.assert_close(other.state_dict()[f"0.{name}"], value)
    for name, parameter in norm.named_parameters():
        torch.testing.assert_close(other.get_parameter(f"0.{name}").grad, parameter.grad)
    torch.testing.assert_close(other.eval()(batch), norm.eval()(batch))


def test_only_batch_norms_are_replaced_and_parameters_are_kept() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.BatchNorm1d(3), nn.LayerNorm(3)))
    before = dict(network.named_parameters())
    names = list(network.state_dict())

    replaced = sync_batch_norms(network.eval())

    assert list(replaced.state_dict()) == names
    assert all(before[name] is parameter for name, parameter in replaced.named_parameters())
    assert type(replaced[1][0]).__name__ == "SyncedBatchNorm1d"
    assert not replaced[1][0].training
    assert type(replaced[1][1]) is nn.LayerNorm


def test_without_a_process_group_equals_batch_norm() -> None:
    batch = torch.randn(6, 3)

    torch.testing.assert_close(sync_batch_norms(nn.BatchNorm1d(3))(batch), nn.BatchNorm1d(3)(batch))

"""Lion compared with the five lines of its paper."""

from pathlib import Path

import pytest
import torch
from torch import nn

from leyden.optim.lion import Lion


def gradients(count: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(7, generator=generator) for _ in range(count)]


def test_follows_the_paper() -> None:
    weight = nn.Parameter(torch.linspace(-1, 1, 7))
    optimizer = Lion([weight], lr=0.1, betas=(0.8, 0.95), weight_decay=0.3)
    expected, momentum = weight.detach().clone(), torch.zeros(7)

    for gradient in gradients(8):
        weight.grad = gradient.clone()
        optimizer.step()
        direction = torch.sign(0.8 * momentum + 0.2 * gradient)
        expected = expected - 0.1 * (direction + 0.3 * expected)
        momentum = 0.95 * momentum + 0.05 * gradient
        torch.testing.assert_close(weight.detach(), expected)
        assert torch.equal(weight.grad, gradient)


def test_descends_a_quadratic() -> None:
    weight = nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = Lion([weight], lr=0.01, betas=(0.9, 0.9))

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    losses = [optimizer.step(closure).item() for _ in range(400)]

    assert losses[0] == pytest.approx(13.0)
    assert losses[-1] < 0.01


def test_decays_only_as_its_group_says() -> None:
    decayed, exempt = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))
    optimizer = Lion(
        [{"params": [decayed]}, {"params": [exempt], "weight_decay": 0.0}], lr=0.5, weight_decay=0.2
    )
    decayed.grad, exempt.grad = torch.zeros(2, 2), torch.zeros(2)

    optimizer.step()

    torch.testing.assert_close(decayed.detach(), torch.full((2, 2), 0.9))
    assert torch.equal(exempt, torch.ones(2))


def test_leaves_parameters_without_gradient_alone() -> None:
    weight = nn.Parameter(torch.ones(2))

    Lion([weight], lr=0.5, weight_decay=0.2).step()

    assert torch.equal(weight, torch.ones(2))


def test_continues_from_a_safe_checkpoint(tmp_path: Path) -> None:
    def train(weight: nn.Parameter, optimizer: Lion, steps: list[torch.Tensor]) -> None:
        for gradient in steps:
            weight.grad = gradient
            optimizer.step()

    weight = nn.Parameter(torch.zeros(7))
    optimizer = Lion([weight], lr=0.1)
    train(weight, optimizer, gradients(6)[:3])
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    resumed = nn.Parameter(weight.detach().clone())
    resumed_optimizer = Lion([resumed], lr=0.9)

    resumed_optimizer.load_state_dict(torch.load(tmp_path / "optimizer.pt", weights_only=True))
    train(resumed, resumed_optimizer, gradients(6)[3:])
    train(weight, optimizer, gradients(6)[3:])

    assert torch.equal(resumed, weight)


@pytest.mark.parametrize(
    "arguments",
    [{"lr": -1.0}, {"betas": (0.9, 1.0)}, {"betas": (0.9,)}, {"weight_decay": -0.1}],
    ids=str,
)
def test_bad_arguments_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Lion([nn.Parameter(torch.zeros(1))], **arguments)


def test_bad_arguments_of_a_group_are_named() -> None:
    with pytest.raises(ValueError, match="lr must be at least 0"):
        Lion([{"params": [nn.Parameter(torch.zeros(1))], "lr": -1.0}])


def test_refuses_sparse_gradients() -> None:
    embedding = nn.Embedding(4, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()

    with pytest.raises(ValueError, match="sparse=False"):
        Lion(embedding.parameters()).step()

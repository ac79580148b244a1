"""What holds for every network, as a class of tests to inherit."""

from abc import ABC, abstractmethod
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

ROWS = 16
"""Rows of a batch."""

HANDFUL = 4
"""Rows that a network of a few parameters can learn by heart."""

STEPS, RATE = 100, 0.01
"""Of Adam, in which the loss of these has to halve."""


class NetworkContract(ABC):
    """Tests of a network: a subclass says how to make it and what it takes, and pytest runs them.

    Small sizes are enough::

        class TestPooled(NetworkContract):
            def make(self):
                return Pooled(input_shape=(1, 8, 8), num_outputs=3, width=4)

            def inputs(self, rows):
                return {"images": torch.randn(rows, 1, 8, 8)}
    """

    @abstractmethod
    def make(self) -> nn.Module:
        """Make the network with weights drawn anew, all of them there, and without dropout."""

    @abstractmethod
    def inputs(self, rows: int) -> dict[str, Tensor]:
        """Make up a batch, ``(rows, ...)`` each, by the names that the forward pass gives them."""

    def test_every_row_has_logits(self) -> None:
        """Logits are numbers, and stand in the order of the rows."""
        logits = self._seeded()(**self._batch())

        assert len(logits) == ROWS
        assert logits.is_floating_point()
        assert logits.isfinite().all()

    def test_weights_are_drawn_from_the_seed_alone(self) -> None:
        """Two networks of one seed are the same."""
        first, again = (self._seeded().state_dict() for _ in range(2))

        _check_same(first, again)

    def test_gradients_reach_every_parameter(self) -> None:
        """No layer that is not frozen is left out, and none ends in zeros only."""
        network = self._moved()

        network(**self._batch()).square().sum().backward()

        unreached = [
            name
            for name, weight in network.named_parameters()
            if weight.requires_grad and weight.numel()
            if weight.grad is None or not weight.grad.any()
        ]
        assert unreached == []

    def test_a_row_is_judged_alone_in_evaluation(self) -> None:
        """What a row is told does not depend on the rows beside it."""
        batch = self._batch()
        # Weights that were moved mix what is still apart at first, in sums of larger terms.
        for network, near in ((self._seeded(), 1e-5), (self._moved(), 1e-4)):
            with torch.inference_mode():
                together = network.eval()(**batch)
                alone = [
                    network(**{name: rows[[row]] for name, rows in batch.items()})
                    for row in range(HANDFUL)
                ]

            torch.testing.assert_close(
                torch.cat(alone), together[:HANDFUL], rtol=10 * near, atol=near
            )

    def test_evaluation_changes_nothing(self) -> None:
        """Asked twice, it says the same, and its weights and buffers stay."""
        network, batch = self._moved().eval(), self._batch()
        before = deepcopy(network.state_dict())

        with torch.inference_mode():
            assert torch.equal(network(**batch), network(**batch))

        _check_same(network.state_dict(), before)

    def test_its_state_is_all_that_it_has_learnt(self, tmp_path: Path) -> None:
        """Another network that loads it, with ``weights_only``, says the same."""
        trained, batch = self._moved(), self._batch()
        trained(**batch)  # moves the running statistics of a norm
        torch.save(trained.state_dict(), tmp_path / "weights.pt")

        restored = self._seeded(1).eval()
        with torch.inference_mode():
            assert not torch.equal(restored(**batch), trained.eval()(**batch))

        restored.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))

        with torch.inference_mode():
            assert torch.equal(restored(**batch), trained(**batch))

    def test_a_copy_has_weights_of_its_own(self) -> None:
        """Averages of weights are kept in copies."""
        network = self._moved()
        before = deepcopy(network.state_dict())

        copied = deepcopy(network)
        _check_same(copied.state_dict(), before)
        _move(copied)

        _check_same(network.state_dict(), before)

    def test_bfloat16_gives_nearly_the_same(self) -> None:
        """Mixed precision leaves logits numbers, and near those of float32."""
        network, batch = self._moved().eval(), self._batch()

        with torch.inference_mode():
            exact = network(**batch)
            with torch.autocast("cpu", torch.bfloat16):
                mixed = network(**batch).float()

        scale = exact.abs().max().item()
        torch.testing.assert_close(mixed, exact, rtol=0, atol=0.1 * scale)

    def test_a_handful_of_rows_can_be_learnt_by_heart(self) -> None:
        """The loss of labels that are drawn at random halves."""
        network, batch = self._seeded(), self._batch(HANDFUL)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        *places, classes = network(**batch).shape
        labels = torch.randint(max(classes, 2), places)
        begin = loss = _loss(network(**batch), labels)
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            loss = _loss(network(**batch), labels)
            if loss < begin / 2:
                return

        raise AssertionError(f"the loss went from {begin:.3f} to {loss:.3f} in {STEPS} steps")

    def _seeded(self, seed: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return self.make()

    def _moved(self) -> nn.Module:
        """Make a network away from weights that are zero at first on purpose."""
        network = self._seeded()
        _move(network)
        return network

    def _batch(self, rows: int = ROWS) -> dict[str, Tensor]:
        torch.manual_seed(2)
        return self.inputs(rows)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute cross-entropy, or where there is one output that of its sign."""
    if logits.shape[-1] == 1:
        return functional.binary_cross_entropy_with_logits(logits.squeeze(-1), labels.float())
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten())


def _move(network: nn.Module) -> None:
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.rand_like(weight), alpha=0.1)


def _check_same(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)

"""Tests that every network has to pass, as a class to inherit from."""

from abc import ABC, abstractmethod
from copy import deepcopy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

ROWS = 16
"""Number of rows of a batch."""

FEW_ROWS = 4
"""Number of rows that a network of few parameters can memorise."""

STEPS, RATE = 100, 0.01
"""Number of steps and learning rate of Adam in which the loss of these rows has to halve."""


class NetworkContract(ABC):
    """Tests of a network, which pytest runs for each subclass.

    A subclass implements ``make`` and ``inputs``; small sizes are enough::

        class TestPooled(NetworkContract):
            def make(self):
                return Pooled(input_shape=(1, 8, 8), num_outputs=3, width=4)

            def inputs(self, rows):
                return {"images": torch.randn(rows, 1, 8, 8)}
    """

    @abstractmethod
    def make(self) -> nn.Module:
        """Return a new network, on the CPU, with random weights and without dropout."""

    @abstractmethod
    def inputs(self, rows: int) -> dict[str, Tensor]:
        """Return a random batch: arguments of ``forward`` by name, ``(rows, ...)`` each."""

    def test_every_row_has_logits(self) -> None:
        """Logits are finite, one entry per row."""
        logits = self._seeded()(**self._batch())

        assert len(logits) == ROWS
        assert logits.is_floating_point()
        assert logits.isfinite().all()

    def test_initial_weights_depend_on_the_seed_alone(self) -> None:
        """Two networks of the same seed are equal."""
        first, again = (self._seeded().state_dict() for _ in range(2))

        _assert_equal(first, again)

    def test_gradients_reach_every_parameter(self) -> None:
        """Every trainable parameter has a gradient that is not zero everywhere."""
        network = self._perturbed()

        network(**self._batch()).square().sum().backward()

        unreached = [
            name
            for name, weight in network.named_parameters()
            if weight.requires_grad and weight.numel()
            if weight.grad is None or not weight.grad.any()
        ]
        assert unreached == []

    def test_rows_are_independent_in_evaluation(self) -> None:
        """The logits of a row do not depend on the other rows of the batch."""
        batch = self._batch()
        # With perturbed weights, sums have larger terms and larger rounding errors.
        for network, near in ((self._seeded(), 1e-5), (self._perturbed(), 1e-4)):
            with torch.inference_mode():
                together = network.eval()(**batch)
                alone = [
                    network(**{name: rows[[row]] for name, rows in batch.items()})
                    for row in range(FEW_ROWS)
                ]

            torch.testing.assert_close(
                torch.cat(alone), together[:FEW_ROWS], rtol=10 * near, atol=near
            )

    def test_evaluation_changes_nothing(self) -> None:
        """Two calls return the same logits, and change no weight or buffer."""
        network, batch = self._perturbed().eval(), self._batch()
        before = deepcopy(network.state_dict())

        with torch.inference_mode():
            assert torch.equal(network(**batch), network(**batch))

        _assert_equal(network.state_dict(), before)

    def test_the_state_restores_the_network(self, tmp_path: Path) -> None:
        """Another network that loads the state, with ``weights_only``, returns the same logits."""
        trained, batch = self._perturbed(), self._batch()
        trained(**batch)  # updates the running statistics of norms
        torch.save(trained.state_dict(), tmp_path / "weights.pt")

        restored = self._seeded(1).eval()
        with torch.inference_mode():
            assert not torch.equal(restored(**batch), trained.eval()(**batch))

        restored.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))

        with torch.inference_mode():
            assert torch.equal(restored(**batch), trained(**batch))

    def test_a_copy_shares_no_weights(self) -> None:
        """Changes of a deep copy do not affect the original, as weight averaging requires."""
        network = self._perturbed()
        before = deepcopy(network.state_dict())

        copied = deepcopy(network)
        _assert_equal(copied.state_dict(), before)
        _perturb(copied)

        _assert_equal(network.state_dict(), before)

    def test_bfloat16_is_close_to_float32(self) -> None:
        """Logits in mixed bfloat16 are within 10 % of the largest float32 logit."""
        network, batch = self._perturbed().eval(), self._batch()

        with torch.inference_mode():
            exact = network(**batch)
            with torch.autocast("cpu", torch.bfloat16):
                mixed = network(**batch).float()

        scale = exact.abs().max().item()
        torch.testing.assert_close(mixed, exact, rtol=0, atol=0.1 * scale)

    def test_few_rows_can_be_memorised(self) -> None:
        """The loss of random labels halves."""
        network, batch = self._seeded(), self._batch(FEW_ROWS)
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        *positions, classes = network(**batch).shape
        labels = torch.randint(max(classes, 2), positions)
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

    def _perturbed(self) -> nn.Module:
        """Return a network without the weights that are initialised as zeros on purpose."""
        network = self._seeded()
        _perturb(network)
        return network

    def _batch(self, rows: int = ROWS) -> dict[str, Tensor]:
        torch.manual_seed(2)
        return self.inputs(rows)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the cross-entropy, or the binary one if there is one output."""
    if logits.shape[-1] == 1:
        return functional.binary_cross_entropy_with_logits(logits.squeeze(-1), labels.float())
    return functional.cross_entropy(logits.flatten(0, -2), labels.flatten())


def _perturb(network: nn.Module) -> None:
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.rand_like(weight), alpha=0.1)


def _assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)

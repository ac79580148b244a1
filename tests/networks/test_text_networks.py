"""Networks that take token ids: found by walking the package, and what their tunables do."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import leyden.networks
from leyden.networks.bag_mlp import BagMLP
from leyden.networks.bag_of_tokens import BagOfTokens
from leyden.networks.transformer import CausalTransformer, Transformer

SIZES = {"vocab_size": 50, "num_outputs": 3}


def find_networks() -> Iterator[type[nn.Module]]:
    for module in pkgutil.walk_packages(leyden.networks.__path__, "leyden.networks."):
        for found in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(found) and found.__module__ == module.name:
                names = inspect.signature(found).parameters
                if {"vocab_size", "num_outputs"} <= set(names):
                    yield found


NETWORKS = list(find_networks())

every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda cls: cls.__name__)


def build(network: type[nn.Module], **tunables: object) -> nn.Module:
    torch.manual_seed(0)
    return network(**SIZES | tunables)


def batch_of(*lengths: int, longest: int | None = None) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    longest = longest or max(lengths)
    tokens = torch.randint(2, 50, (len(lengths), max(lengths)), generator=generator)
    tokens = nn.functional.pad(tokens, (0, longest - max(lengths)))
    mask = torch.arange(longest) < torch.tensor(lengths).unsqueeze(1)
    return {"tokens": tokens * mask, "mask": mask}


def test_all_networks_are_found() -> None:
    assert {"BagMLP", "BagOfTokens", "Transformer"} <= {network.__name__ for network in NETWORKS}


@every_network
def test_logits_have_one_column_for_each_output(network: type[nn.Module]) -> None:
    logits = build(network)(**batch_of(1, 7, 30))

    assert logits.shape == (3, 3)
    assert logits.isfinite().all()


@every_network
def test_padding_and_neighbours_make_no_difference(network: type[nn.Module]) -> None:
    net = build(network).eval()
    batch = batch_of(9, 1, 5, longest=20)

    together = net(**batch)
    alone = torch.cat([net(**{name: rows[2:, :5] for name, rows in batch.items()})])

    torch.testing.assert_close(together[2:], alone, rtol=1e-4, atol=1e-5)


@every_network
def test_gradients_reach_every_layer(network: type[nn.Module]) -> None:
    net = build(network)

    net(**batch_of(9, 4)).square().sum().backward()

    assert all(p.grad is not None and p.grad.abs().any() for p in net.parameters())


@every_network
def test_state_dict_round_trip_gives_the_same_outputs(
    network: type[nn.Module], tmp_path: Path
) -> None:
    trained = build(network).eval()
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    restored = network(**SIZES).eval()
    assert not torch.equal(restored(**batch_of(9, 4)), trained(**batch_of(9, 4)))

    restored.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))

    assert torch.equal(restored(**batch_of(9, 4)), trained(**batch_of(9, 4)))
    assert {name.split(".")[0] for name in trained.state_dict()} <= {
        "input_layer",
        "hidden_layers",
        "output_layer",
    }


@every_network
def test_overfits_a_handful_of_texts(network: type[nn.Module]) -> None:
    net = build(network, dropout=0.0)
    batch, labels = batch_of(*range(1, 13)), torch.arange(12) % 3
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(**batch), labels).backward()
        optimizer.step()

    assert (net(**batch).argmax(dim=1) == labels).all()


@every_network
@pytest.mark.parametrize(
    "sizes", [{"num_outputs": 0}, {"vocab_size": 0}, {"width": 0}, {"dropout": 1.0}], ids=str
)
def test_refuses_impossible_sizes(network: type[nn.Module], sizes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(sizes))):
        build(network, **sizes)


def test_only_pairs_make_the_order_of_a_bag_count() -> None:
    batch = batch_of(6)
    reverse = batch | {"tokens": batch["tokens"].flip(1)}

    for pair_buckets, same in ((0, True), (1000, False)):
        net = build(BagOfTokens, pair_buckets=pair_buckets)
        assert torch.allclose(net(**batch), net(**reverse), atol=1e-6) == same


def test_an_mlp_over_a_bag_damps_counts_and_is_as_sure_of_texts_of_any_length() -> None:
    net = build(BagMLP).eval()
    tokens = torch.tensor([[7, 5, 7, 6, 7, 0, 0]])

    bag = torch.zeros(1, 50)
    bag[0, 5:8] = torch.tensor([1.0, 1.0, 2.0]) / 6**0.5  # log(1 + 3) = 2 log(1 + 1)
    expected = net.output_layer(net.input_layer(bag).relu())

    torch.testing.assert_close(net(tokens, tokens != 0), expected)


def test_a_transformer_tells_the_order_of_tokens() -> None:
    net = build(Transformer).eval()
    batch = batch_of(6)

    assert not torch.allclose(net(**batch), net(**batch | {"tokens": batch["tokens"].flip(1)}))


def test_bag_has_the_hidden_widths() -> None:
    net = build(BagOfTokens, width=8, hidden_widths=[16, 4])

    assert [layer.out_features for layer in net.modules() if isinstance(layer, nn.Linear)] == [
        16,
        4,
        3,
    ]


@pytest.mark.parametrize(("width", "heads"), [(10, 4), (12, 4)])
def test_width_must_be_a_multiple_of_twice_the_heads(width: int, heads: int) -> None:
    with pytest.raises(ValueError, match="multiple of twice the heads"):
        build(Transformer, width=width, heads=heads)


def test_what_comes_next_is_told_from_what_came_before_alone() -> None:
    torch.manual_seed(0)
    net = CausalTransformer(vocab_size=50, width=32, heads=2).eval()
    for parameter in net.parameters():  # blocks that are still the identity mix no tokens
        nn.init.normal_(parameter, std=0.2)
    tokens = batch_of(8)["tokens"]
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % 50

    before, after = net(tokens), net(changed)

    assert before.shape == (1, 8, 50)
    torch.testing.assert_close(after[:, :5], before[:, :5])
    assert not torch.allclose(after[:, 5], before[:, 5])


def test_a_causal_transformer_shares_its_embeddings_with_the_output() -> None:
    net = CausalTransformer(vocab_size=50, width=32, heads=2)

    assert net.output_layer.weight is net.input_layer.weight


def test_a_causal_transformer_begins_with_what_each_token_says_by_itself() -> None:
    torch.manual_seed(0)
    net = CausalTransformer(vocab_size=50, width=32, heads=2).eval()
    tokens = batch_of(8)["tokens"]

    logits = net(tokens)

    torch.testing.assert_close(logits[:, 5], net(tokens[:, 5:6])[:, 0])
    guess = torch.tensor(50.0).log().item()
    loss = nn.functional.cross_entropy(logits[0, :-1], tokens[0, 1:]).item()
    assert loss == pytest.approx(guess, abs=0.2)

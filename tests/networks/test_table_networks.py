"""Networks that take the columns of a table: found by walking the package."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import leyden.networks
from leyden.networks.ft_transformer import FTTransformer
from leyden.networks.table_mlp import TableMLP

SHAPES: list[tuple[int, list[int]]] = [(5, [3, 40, 2]), (4, []), (0, [6]), (1, [1])]


def find_networks() -> Iterator[type[nn.Module]]:
    for module in pkgutil.walk_packages(leyden.networks.__path__, "leyden.networks."):
        for found in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(found) and found.__module__ == module.name:
                names = inspect.signature(found).parameters
                if {"num_numbers", "cardinalities", "num_outputs"} <= set(names):
                    yield found


NETWORKS = list(find_networks())

every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda cls: cls.__name__)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def build(
    network: type[nn.Module], shape: tuple[int, list[int]] = SHAPES[0], **tunables: object
) -> nn.Module:
    torch.manual_seed(0)
    sizes = {"num_numbers": shape[0], "cardinalities": shape[1], "num_outputs": 3}
    return network(**sizes | tunables)


def batch_of(size: int, shape: tuple[int, list[int]] = SHAPES[0]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    codes = [torch.randint(0, values, (size,), generator=generator) for values in shape[1]]
    return {
        "numbers": torch.randn(size, shape[0], generator=generator),
        "categories": torch.stack(codes, dim=1) if codes else torch.empty(size, 0).long(),
    }


def test_all_networks_are_found() -> None:
    assert {"TableMLP", "FTTransformer"} <= {network.__name__ for network in NETWORKS}


@every_network
@every_shape
def test_outputs_have_one_column_each(
    network: type[nn.Module], shape: tuple[int, list[int]]
) -> None:
    outputs = build(network, shape)(**batch_of(4, shape))

    assert outputs.shape == (4, 3)
    assert outputs.isfinite().all()


@every_network
def test_every_column_makes_a_difference(network: type[nn.Module]) -> None:
    net = build(network).eval()
    batch = batch_of(6)
    before = net(**batch)

    for column in range(5):
        numbers = batch["numbers"].clone()
        numbers[:, column] += 3
        assert not torch.allclose(net(numbers, batch["categories"]), before, atol=1e-4)
    for column, values in enumerate(SHAPES[0][1]):
        categories = batch["categories"].clone()
        categories[:, column] = (categories[:, column] + 1) % values
        assert not torch.allclose(net(batch["numbers"], categories), before, atol=1e-4)


@every_network
def test_rows_do_not_see_each_other(network: type[nn.Module]) -> None:
    net = build(network).eval()
    batch = batch_of(6)

    alone = net(**{name: rows[2:3] for name, rows in batch.items()})

    torch.testing.assert_close(net(**batch)[2:3], alone, rtol=1e-4, atol=1e-5)


@every_network
def test_gradients_reach_every_parameter(network: type[nn.Module]) -> None:
    net = build(network)

    net(**batch_of(32)).square().sum().backward()

    assert all(p.grad is not None and p.grad.abs().any() for p in net.parameters())


@every_network
def test_state_dict_round_trip_gives_the_same_outputs(
    network: type[nn.Module], tmp_path: Path
) -> None:
    trained = build(network).eval()
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(5)
    restored = network(num_numbers=5, cardinalities=[3, 40, 2], num_outputs=3).eval()
    assert not torch.equal(restored(**batch_of(9)), trained(**batch_of(9)))

    restored.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))

    assert torch.equal(restored(**batch_of(9)), trained(**batch_of(9)))
    assert {name.split(".")[0] for name in trained.state_dict()} == {
        "input_layer",
        "hidden_layers",
        "output_layer",
    }


@every_network
def test_learns_a_rule_between_a_number_and_a_category(network: type[nn.Module]) -> None:
    net = build(network, dropout=0.0)
    batch = batch_of(128)
    labels = ((batch["numbers"][:, 0] > 0) ^ (batch["categories"][:, 2] == 1)).long()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)

    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(**batch), labels).backward()
        optimizer.step()

    assert (net.eval()(**batch).argmax(dim=1) == labels).float().mean() > 0.95


@every_network
@pytest.mark.parametrize("wrong", [{"num_outputs": 0}, {"dropout": 1.0}], ids=str)
def test_refuses_impossible_sizes(network: type[nn.Module], wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build(network, **wrong)


def test_what_training_never_saw_is_neutral() -> None:
    net = build(TableMLP)
    assert isinstance(net, TableMLP)

    assert not any(layer.weight[0].any() for layer in net.input_layer.embeddings)


def test_a_column_of_few_values_has_a_narrow_vector() -> None:
    net = build(TableMLP, embedding_width=8)
    assert isinstance(net, TableMLP)

    assert [layer.embedding_dim for layer in net.input_layer.embeddings] == [2, 8, 1]


def test_heads_have_to_part_the_width() -> None:
    with pytest.raises(ValueError, match="can't be parted among 5 heads"):
        build(FTTransformer, width=32, heads=5)

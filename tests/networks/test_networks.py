"""Every network of the package, found by walking it, on every kind of input it may meet."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import leyden.networks

NUM_OUTPUTS = 5
IMAGE_SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 33, 17), (1, 8, 7), (2, 1, 40), (1, 1, 1)]


def find_networks() -> Iterator[type[nn.Module]]:
    for module in pkgutil.walk_packages(leyden.networks.__path__, "leyden.networks."):
        for found in vars(importlib.import_module(module.name)).values():
            if inspect.isclass(found) and found.__module__ == module.name and is_network(found):
                yield found


def is_network(found: type) -> bool:
    return issubclass(found, nn.Module) and "input_shape" in inspect.signature(found).parameters


NETWORKS = list(find_networks())

every_network = pytest.mark.parametrize("network", NETWORKS, ids=lambda cls: cls.__name__)
every_shape = pytest.mark.parametrize("shape", IMAGE_SHAPES, ids=str)


def build(network: type[nn.Module], shape: tuple[int, ...], **tunables: object) -> nn.Module:
    torch.manual_seed(0)
    return network(input_shape=shape, num_outputs=NUM_OUTPUTS, **tunables)


def batch_of(size: int, shape: tuple[int, ...]) -> Tensor:
    return torch.randn(size, *shape, generator=torch.Generator().manual_seed(1))


def test_all_networks_are_found() -> None:
    assert {"Linear", "MLP", "CNN", "ResNet"} <= {network.__name__ for network in NETWORKS}


@every_network
@every_shape
def test_logits_have_one_column_for_each_output(
    network: type[nn.Module], shape: tuple[int, ...]
) -> None:
    logits = build(network, shape)(batch_of(3, shape))

    assert logits.shape == (3, NUM_OUTPUTS)
    assert logits.isfinite().all()


@every_network
def test_takes_photographs(network: type[nn.Module]) -> None:
    net = build(network, (3, 224, 224)).eval()

    with torch.no_grad():
        assert net(batch_of(1, (3, 224, 224))).shape == (1, NUM_OUTPUTS)


@every_network
@every_shape
def test_gradients_reach_every_parameter(network: type[nn.Module], shape: tuple[int, ...]) -> None:
    net = build(network, shape)
    with torch.no_grad():
        for parameter in net.parameters():  # away from weights that start at zero on purpose
            parameter.add_(torch.rand_like(parameter), alpha=0.1)

    net(batch_of(16, shape)).square().sum().backward()

    without = [
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().any()
    ]
    assert without == []


@every_network
def test_state_dict_round_trip_gives_the_same_outputs(
    network: type[nn.Module], tmp_path: Path
) -> None:
    shape = (1, 8, 8)
    trained = build(network, shape)
    trained(batch_of(16, shape))  # moves the running statistics of a norm
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(2)
    restored = network(input_shape=shape, num_outputs=NUM_OUTPUTS)
    images = batch_of(4, shape)
    assert not torch.equal(restored.eval()(images), trained.eval()(images))

    restored.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))

    assert torch.equal(restored(images), trained(images))


@every_network
def test_state_dict_names_the_layers(network: type[nn.Module]) -> None:
    net = build(network, (1, 8, 8))

    assert {name.split(".")[0] for name in net.state_dict()} <= {
        "input_layer",
        "hidden_layers",
        "output_layer",
    }
    assert net.output_layer.out_features == NUM_OUTPUTS


@every_network
def test_an_example_is_judged_alone_in_evaluation(network: type[nn.Module]) -> None:
    net = build(network, (1, 28, 28)).eval()
    images = batch_of(4, (1, 28, 28))

    with torch.no_grad():
        together = net(images)
        alone = torch.cat([net(image) for image in images.split(1)])

    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


@every_network
def test_evaluation_is_deterministic_with_dropout(network: type[nn.Module]) -> None:
    if "dropout" not in inspect.signature(network).parameters:
        pytest.skip("has no dropout")
    net = build(network, (1, 8, 8), dropout=0.5)
    images = batch_of(16, (1, 8, 8))
    assert not torch.equal(net(images), net(images))  # it does drop in training

    net.eval()

    assert torch.equal(net(images), net(images))


@every_network
def test_memory_format_does_not_change_the_logits(network: type[nn.Module]) -> None:
    net = build(network, (3, 32, 32)).eval()
    images = batch_of(4, (3, 32, 32))
    expected = net(images)

    net.to(memory_format=torch.channels_last)
    logits = net(images.to(memory_format=torch.channels_last))

    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)


@every_network
def test_overfits_a_handful_of_images(network: type[nn.Module]) -> None:
    net = build(network, (1, 8, 8))
    images, labels = batch_of(16, (1, 8, 8)), torch.arange(16) % NUM_OUTPUTS
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)

    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()

    assert (net(images).argmax(dim=1) == labels).all()


@every_network
@pytest.mark.parametrize(
    "sizes", [{"num_outputs": 0}, {"input_shape": (1, 0, 8)}, {"input_shape": ()}], ids=str
)
def test_refuses_impossible_sizes(network: type[nn.Module], sizes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(sizes))):
        network(**{"input_shape": (1, 8, 8), "num_outputs": 2} | sizes)

"""Options of the networks for images and for inputs of any shape."""

import pytest
import torch
from torch import nn

from leyden.networks.cnn import CNN
from leyden.networks.layers import ACTIVATIONS
from leyden.networks.linear import Linear
from leyden.networks.mlp import MLP
from leyden.networks.resnet import ResidualBlock, ResNet

DIGITS = {"input_shape": (1, 8, 8), "num_outputs": 10}


def widths_of(network: nn.Module, kind: type[nn.Module]) -> list[int]:
    return [layer.weight.shape[0] for layer in network.modules() if isinstance(layer, kind)]


@pytest.mark.parametrize("shape", [(12,), (3, 4), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("network", [Linear, MLP])
def test_networks_without_a_grid_take_any_shape(
    network: type[nn.Module], shape: tuple[int, ...]
) -> None:
    assert network(input_shape=shape, num_outputs=2)(torch.randn(4, *shape)).shape == (4, 2)


@pytest.mark.parametrize("network", [CNN, ResNet])
def test_image_networks_refuse_other_shapes(network: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"channels, height, width.*\(12,\).*MLP"):
        network(input_shape=(12,), num_outputs=2)


def test_linear_is_linear() -> None:
    net = Linear(**DIGITS)
    first, second = torch.randn(2, 4, 1, 8, 8).unbind()

    torch.testing.assert_close(
        net(first + second), net(first) + net(second) - net.output_layer.bias
    )


def test_mlp_has_the_hidden_widths() -> None:
    assert widths_of(MLP(**DIGITS, hidden_widths=[32, 16]), nn.Linear) == [32, 16, 10]


@pytest.mark.parametrize(
    ("norm", "layers"), [("none", ()), ("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)]
)
def test_mlp_norm(norm: str, layers: type[nn.Module] | tuple[()]) -> None:
    net = MLP(**DIGITS, hidden_widths=[8, 8], norm=norm)
    norms = [m for m in net.modules() if isinstance(m, (nn.BatchNorm1d, nn.LayerNorm))]

    assert len(norms) == (2 if layers else 0)
    assert all(isinstance(found, layers) for found in norms)
    # Batch norm cancels the bias of the layer before it.
    hidden = [layer for layer in net.hidden_layers.modules() if isinstance(layer, nn.Linear)]
    assert all((layer.bias is None) == (norm == "batch") for layer in hidden)


@pytest.mark.parametrize("network", [MLP, CNN])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_by_name(network: type[nn.Module], name: str) -> None:
    net = network(**DIGITS, activation=name)

    assert any(isinstance(layer, ACTIVATIONS[name]) for layer in net.modules())


@pytest.mark.parametrize("network", [MLP, CNN])
def test_unknown_activation_lists_the_known(network: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"'swish'.*gelu, leaky_relu, relu, silu, tanh"):
        network(**DIGITS, activation="swish")


def test_cnn_has_the_channels() -> None:
    assert widths_of(CNN(**DIGITS, channels=[4, 6, 8, 12]), nn.Conv2d) == [4, 6, 8, 12]


def test_cnn_parameters_do_not_grow_with_the_image() -> None:
    def count(side: int) -> int:
        net = CNN(input_shape=(1, side, side), num_outputs=10)
        return sum(parameter.numel() for parameter in net.parameters())

    assert count(8) == count(28) == count(224)


def test_resnet_has_the_blocks() -> None:
    net = ResNet(**DIGITS, channels=[8, 16], blocks_per_stage=3)

    assert sum(isinstance(layer, ResidualBlock) for layer in net.modules()) == 6


def test_residual_block_starts_as_the_identity() -> None:
    maps = torch.randn(2, 8, 4, 4).relu()

    torch.testing.assert_close(ResidualBlock(inputs=8, outputs=8)(maps), maps)


@pytest.mark.parametrize(("stem", "side"), [("convolution", 9), ("space_to_depth", 5)])
def test_resnet_stem_sets_the_resolution(stem: str, side: int) -> None:
    net = ResNet(input_shape=(1, 9, 9), num_outputs=10, channels=[8], stem=stem)

    assert net.input_layer(torch.randn(2, 1, 9, 9)).shape == (2, 8, side, side)


@pytest.mark.parametrize(("side", "last"), [(8, 2), (28, 4), (32, 4)])
def test_resnet_does_not_halve_tiny_maps(side: int, last: int) -> None:
    net = ResNet(input_shape=(1, side, side), num_outputs=10, channels=[4, 4, 4])

    maps = net.hidden_layers(net.input_layer(torch.randn(2, 1, side, side)))

    assert maps.shape == (2, 4, last, last)


def test_pooling_may_be_mean_or_max() -> None:
    images = torch.randn(4, 1, 8, 8)
    mean, largest = (ResNet(**DIGITS, channels=[8], pooling=how).eval() for how in ("mean", "max"))
    largest.load_state_dict(mean.state_dict())
    maps = mean.hidden_layers(mean.input_layer(images)).flatten(2)

    torch.testing.assert_close(mean(images), mean.output_layer(maps.mean(dim=2)))
    torch.testing.assert_close(largest(images), mean.output_layer(maps.max(dim=2).values))


def test_a_mirrored_network_averages_logits_in_evaluation_alone():
    torch.manual_seed(0)
    images = torch.randn(4, 1, 8, 8)
    plain, both = ResNet(**DIGITS, channels=[8]), ResNet(**DIGITS, channels=[8], mirrored=True)
    both.load_state_dict(plain.state_dict())

    assert torch.equal(both(images), plain(images))
    mean = (plain.eval()(images) + plain(images.flip(3))) / 2
    assert torch.equal(both.eval()(images), mean)


def test_space_to_depth_sees_every_pixel() -> None:
    net = ResNet(input_shape=(1, 9, 9), num_outputs=1, channels=[8]).eval()
    image = torch.randn(1, 1, 9, 9, requires_grad=True)

    net(image).sum().backward()

    assert (image.grad != 0).all()


@pytest.mark.parametrize(
    ("network", "options"),
    [
        (MLP, {"hidden_widths": []}),
        (MLP, {"norm": "group"}),
        (MLP, {"dropout": 1.0}),
        (CNN, {"channels": [16, 0]}),
        (CNN, {"dropout": -0.1}),
        (ResNet, {"channels": []}),
        (ResNet, {"blocks_per_stage": 0}),
        (ResNet, {"stem": "pool"}),
        (ResNet, {"pooling": "sum"}),
    ],
    ids=str,
)
def test_an_invalid_option_is_named(network: type[nn.Module], options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        network(**DIGITS, **options)

import pytest
import torch

from leyden.networks.quartznet import QuartzNet


def network(**options):
    torch.manual_seed(0)
    sizes = {"num_mels": 8, "num_tokens": 5, "channels": 16, "num_blocks": 2}
    return QuartzNet(**sizes | options).eval()


@pytest.mark.parametrize(("stride", "steps"), [(1, 21), (2, 11), (4, 6)])
def test_each_step_has_logits(stride, steps):
    logits = network(stride=stride)(torch.randn(3, 1, 8, 21), torch.tensor([21, 20, 5]))

    assert logits.shape == (3, steps, 5)


@pytest.mark.parametrize("length", [1, 6, 7])
def test_padding_does_not_change_the_logits(length):
    net = network()
    alone = torch.randn(1, 1, 8, length)
    padded = torch.full((1, 1, 8, 30), 9.0)
    padded[..., :length] = alone

    found = net(padded, torch.tensor([length]))

    expected = net(alone, torch.tensor([length]))
    assert torch.allclose(found[:, : expected.shape[1]], expected, atol=1e-5)


def test_the_blank_is_predicted_after_the_end():
    logits = network()(torch.randn(2, 1, 8, 20), torch.tensor([20, 7]))

    probabilities = logits.softmax(dim=2)
    assert (probabilities[1, 4:, 0] == 1).all()
    assert (probabilities[0, :, 0] < 1).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kernel_size": 4}, "kernel_size must be odd"), ({"dropout": 1.0}, "dropout must be in")],
)
def test_an_invalid_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        network(**options)

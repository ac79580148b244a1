import pytest
import torch
from torch import nn

from leyden.errors import UserError
from leyden.optim.decay_matrices import decay_matrices
from leyden.optim.parameter_groups import check_groups


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 3))


def test_only_matrices_and_kernels_decay() -> None:
    net = network()

    decayed, exempt = decay_matrices(net)

    assert [id(p) for p in decayed["params"]] == [id(net[0].weight), id(net[3].weight)]
    expected = [net[0].bias, net[1].weight, net[1].bias, net[3].bias]
    assert [id(p) for p in exempt["params"]] == [id(p) for p in expected]
    assert exempt["weight_decay"] == 0.0


def test_matrices_take_the_weight_decay_of_the_optimizer() -> None:
    optimizer = torch.optim.AdamW(decay_matrices(network()), weight_decay=0.3)

    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]


def test_frozen_parameters_are_left_out() -> None:
    net = network()
    net[0].requires_grad_(False)

    groups = decay_matrices(net)

    kept = {id(parameter) for group in groups for parameter in group["params"]}
    assert kept == {id(parameter) for layer in (net[1], net[3]) for parameter in layer.parameters()}


def test_empty_groups_are_left_out() -> None:
    assert [len(group["params"]) for group in decay_matrices(nn.Linear(2, 2, bias=False))] == [1]
    (exempt,) = decay_matrices(nn.BatchNorm1d(2))
    assert exempt["weight_decay"] == 0.0
    assert decay_matrices(network().requires_grad_(False)) == []


def test_shared_parameters_appear_once() -> None:
    layer = nn.Linear(2, 2)

    groups = decay_matrices(nn.Sequential(layer, layer))

    assert [len(group["params"]) for group in groups] == [1, 1]


def test_a_parameter_in_no_group_is_named() -> None:
    net = network()
    groups = [{"params": [net[0].weight, net[0].bias, *net[1].parameters(), net[3].weight]}]

    with pytest.raises(UserError, match=r"parameter_groups: .* 3\.bias is in none"):
        check_groups(groups, net)

    net[3].bias.requires_grad_(False)
    check_groups(groups, net)

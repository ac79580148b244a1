"""Each network trains on each data set of its kind and is refused for others."""

import inspect

import pytest
import torch
from hydra.utils import get_object

import shipped
from leyden.config.compose import compose, freeze
from leyden.data.base import DataModule
from leyden.errors import UserError
from leyden.workflows.assembly import build_data, build_task

pytestmark = pytest.mark.slow

NETWORKS = shipped.OPTIONS["network"]


@pytest.fixture(scope="module")
def data(kind: list[str]) -> DataModule:
    module = build_data(freeze(compose(kind)))
    module.prepare_data()
    module.setup("fit")
    return module


def takes(network: str, data: DataModule) -> bool:
    """Whether the arguments of a network are the sizes of the data."""
    node = freeze(compose([f"network={network}"])).network
    required = {
        name
        for name, parameter in inspect.signature(get_object(node["_target_"])).parameters.items()
        if parameter.default is parameter.empty
    }
    return required == set(data.spec.network_sizes)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_batch_gives_a_finite_loss_and_gradients_or_the_network_is_refused(
    network: str, kind: list[str], data: DataModule
) -> None:
    config = freeze(compose([*kind, f"network={network}"]))
    if not takes(network, data):
        with pytest.raises(UserError, match=r"Choose a network for this kind of data: network=\w+"):
            build_task(config, data)
        return
    task = build_task(config, data)
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)

    loss, weight = task.step(batch, "train")
    loss.backward()

    assert loss.shape == ()
    assert loss.isfinite()
    assert weight > 0
    gradients = [parameter.grad for parameter in task.network.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert any(torch.count_nonzero(gradient) for gradient in gradients)


def test_every_kind_has_a_network(data: DataModule) -> None:
    assert any(takes(network, data) for network in NETWORKS)

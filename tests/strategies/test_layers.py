"""Sharding of networks: memory, logits and gradients."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

import shipped
from leyden.config.build import build
from leyden.config.compose import compose, freeze
from leyden.strategies.layers import shard

SCRIPT = Path(__file__).with_name("sharded_run.py")

SIZES = {
    "input_shape": (1, 16, 16),
    "num_outputs": 3,
    "vocab_size": 20,
    "num_numbers": 2,
    "cardinalities": (3, 4),
    "num_mels": 16,
    "num_tokens": 5,
}
"""Sizes of the data that any network takes."""

TOKENS = torch.randint(1, 20, (4, 6), generator=torch.Generator().manual_seed(0))
INPUTS = {
    "images": torch.randn(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)),
    "frames": torch.tensor([16, 16, 9, 5]),
    "tokens": TOKENS,
    "mask": TOKENS > 4,
    "numbers": torch.randn(4, 2, generator=torch.Generator().manual_seed(0)),
    "categories": torch.tensor([[0, 1], [1, 2], [2, 3], [0, 0]]),
}


@pytest.mark.slow
def test_no_rank_holds_more_than_its_shard_and_one_layer(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr[-3000:]
    first, second = json.loads(done.stdout)
    assert (first["before"], second["before"]) == (["cpu"], ["meta"])
    assert first["shard"] + second["shard"] == first["whole"]
    assert second["shard"] == pytest.approx(first["whole"] / 2, rel=0.05)
    # The first rank holds the whole network in host memory, which is its device here.
    assert second["peak"] < second["shard"] + second["largest layer"]
    for rank in (first, second):
        assert rank["same"], "initial weights are those of the first rank"
        assert rank["tied"]
        assert rank["frequencies"] == [0, 1, 2, 3]


def built(option, place="cpu"):
    factory = build(freeze(compose([f"network={option}"])), "network")
    taken = inspect.signature(factory.func).parameters
    torch.manual_seed(0)
    with torch.device(place):
        return factory(**{name: size for name, size in SIZES.items() if name in taken})


def gradients(network):
    """Return the logits and the gradient of each parameter."""
    taken = inspect.signature(network.forward).parameters
    network.train()
    torch.manual_seed(0)
    logits = network(**{name: value for name, value in INPUTS.items() if name in taken})
    logits.square().sum().backward()
    return {"logits": logits} | {name: each.grad for name, each in network.named_parameters()}


@pytest.mark.parametrize("option", shipped.OPTIONS["network"])
def test_sharding_keeps_logits_and_gradients(option, alone):
    expected = gradients(built(option))
    network = built(option)

    shard(network, alone, torch.device("cpu"))

    assert isinstance(network, FSDPModule)
    assert all(isinstance(each, DTensor) for each in network.parameters())
    found = gradients(network)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        own = found[name].full_tensor() if isinstance(found[name], DTensor) else found[name]
        torch.testing.assert_close(own, value, msg=name)


@pytest.mark.parametrize("option", shipped.OPTIONS["network"])
def test_a_network_can_be_built_on_the_meta_device(option):
    expected = built(option).state_dict()

    network = built(option, place="meta")

    assert all(each.is_meta for each in network.parameters())
    found = network.state_dict()
    assert {name: each.shape for name, each in found.items()} == {
        name: each.shape for name, each in expected.items()
    }


def test_layers_of_a_list_are_sharded_one_by_one(alone):
    network = built("transformer")

    shard(network, alone, torch.device("cpu"))

    layers = [name for name, part in network.named_modules() if isinstance(part, FSDPModule)]
    blocks = ["hidden_layers.blocks.0", "hidden_layers.blocks.1"]
    assert layers == ["", "input_layer", *blocks, "hidden_layers.norm", "output_layer"]

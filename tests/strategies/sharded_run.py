"""Shard a network across two forked ranks, and report the memory of each.

    python tests/strategies/sharded_run.py FOLDER

All elements in memory are counted whenever a whole layer is on the device.
"""

import gc
import json
import os
import sys
from pathlib import Path

import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh

from leyden.networks.transformer import CausalTransformer
from leyden.strategies import layers

RANKS = 2


def main(folder):
    folder = Path(folder)
    torch.set_num_threads(1)
    children = []
    for rank in range(RANKS):
        if (pid := os.fork()) == 0:
            code = 1
            try:
                shard_on_rank(rank, folder)
                code = 0
            finally:
                os._exit(code)
        children.append(pid)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * RANKS
    reports = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(RANKS)]
    sys.stdout.write(json.dumps(reports) + "\n")


class Network(nn.Module):
    """Tied weights, a list of layers, batch norm, and a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.language_model = CausalTransformer(vocab_size=40, width=16, depth=6, heads=2)
        self.norm = nn.BatchNorm1d(40)
        self.register_buffer("frequencies", torch.arange(4.0), persistent=False)


def shard_on_rank(rank, folder):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=RANKS
    )
    mesh = init_device_mesh("cpu", (RANKS,))
    torch.manual_seed(rank)
    with torch.device("cpu" if rank == 0 else "meta"):
        network = Network()
    whole = sum(each.numel() for each in network.parameters())
    blocks = network.language_model.hidden_layers.blocks
    before = {each.device.type for each in network.parameters()}
    counted = []
    fully_shard = layers.fully_shard
    layers.fully_shard = lambda *args, **how: (
        counted.append(elements_in_memory()),
        fully_shard(*args, **how),
    )
    gc.disable()
    layers.shard(network, mesh, torch.device("cpu"))
    gc.enable()
    torch.manual_seed(0)
    expected = Network().state_dict()
    parameters = list(network.parameters())
    own = network.state_dict()
    report = {
        "before": sorted(before),
        "whole": whole,
        "largest layer": max(sum(each.numel() for each in layer.parameters()) for layer in blocks),
        "shard": sum(each.to_local().numel() for each in parameters),
        "peak": max(counted),
        "tied": network.language_model.output_layer.weight
        is network.language_model.input_layer.weight,
        "frequencies": network.frequencies.tolist(),
        "same": all(torch.equal(full(own[name]), value) for name, value in expected.items()),
    }
    (folder / f"{rank}.json").write_text(json.dumps(report))
    distributed.destroy_process_group()


def full(tensor):
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def elements_in_memory():
    """Count the elements of all tensors that are not on the meta device."""
    tensors = [each for each in gc.get_objects() if type(each) in (torch.Tensor, nn.Parameter)]
    storages = {each.untyped_storage() for each in tensors if not each.is_meta}
    sizes = {each.data_ptr(): each.nbytes() // 4 for each in storages}
    return sum(sizes.values())


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Sharding of a network over ranks, layer by layer."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

LISTS = (nn.ModuleList, nn.Sequential)


def shard(network: nn.Module, mesh: DeviceMesh, device: torch.device) -> None:
    """Shard every parameter of a network in place, by FSDP2 (Zhao et al. 2023, arXiv:2304.11277).

    The first rank broadcasts the initial values; the parameters of other ranks may be on the
    ``meta`` device. A device never holds more than its own shards and one whole layer. Buffers are
    not sharded; the first rank broadcasts them before each forward pass, as in DDP.

    Args:
        network: Network that has its initial values on the first rank.
        mesh: One-dimensional mesh of all ranks.
        device: Device of this rank's shards.
    """
    for layer in (*_layers(network, _uses(network)), network):
        _place(layer, device)
        fully_shard(layer, mesh=mesh)
    network.register_forward_pre_hook(lambda module, _: _broadcast(module.buffers()))


def _layers(module: nn.Module, uses: Counter[Tensor]) -> Iterator[nn.Module]:
    """Yield the modules to shard on their own: members of layer lists, and layers without a list.

    A layer that shares a parameter with another one is sharded with the rest of the network.
    """
    for child in module.children():
        members = list(child.children()) if isinstance(child, LISTS) else [child]
        for member in members:
            if not isinstance(child, LISTS) and _holds_a_list(member):
                yield from _layers(member, uses)
            elif (own := _uses(member)) and all(uses[each] == own[each] for each in own):
                yield member


def _holds_a_list(module: nn.Module) -> bool:
    return any(isinstance(inner, LISTS) for inner in module.modules())


def _uses(module: nn.Module) -> Counter[Tensor]:
    """Count the names of each parameter; shared parameters have several."""
    named = module.named_parameters(remove_duplicate=False)
    return Counter(parameter for _, parameter in named)


def _place(layer: nn.Module, device: torch.device) -> None:
    """Move tensors that are not sharded yet to the device, with the values of the first rank."""
    placed: dict[Tensor, Any] = {}
    for module in layer.modules():
        for name, parameter in list(module.named_parameters(recurse=False, remove_duplicate=False)):
            if isinstance(parameter, DTensor):
                continue
            if parameter not in placed:
                values = _of_first_rank(parameter, device)
                placed[parameter] = nn.Parameter(values, requires_grad=parameter.requires_grad)
            setattr(module, name, placed[parameter])
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, _of_first_rank(buffer, device))


def _of_first_rank(tensor: Tensor, device: torch.device) -> Tensor:
    if torch.distributed.get_rank() == 0:
        values = tensor.detach().to(device).contiguous()
    else:
        values = torch.empty(tensor.shape, dtype=tensor.dtype, device=device)
    _broadcast([values])
    return values


def _broadcast(tensors: Iterable[Tensor]) -> None:
    pending = [torch.distributed.broadcast(each, src=0, async_op=True) for each in tensors]
    for work in pending:
        if work is not None:
            work.wait()

"""Batch norm over the rows of all ranks on the CPU, where torch's ``SyncBatchNorm`` is refused."""

from typing import Any

import torch
from torch import Tensor, distributed, nn


def sync_batch_norms(module: nn.Module) -> nn.Module:
    """Synchronise every batch norm of a module across ranks, in place.

    Args:
        module: Module on the CPU.

    Returns:
        The module.
    """
    for norm in module.modules():
        if (kind := SYNCED.get(type(norm))) is not None:
            norm.__class__ = kind  # keeps parameters, buffers, hooks and their names
    return module


class _Synced:
    """Mixin that computes the statistics of a batch norm over all ranks in training.

    Means and variances are those of Ioffe & Szegedy 2015 (arXiv:1502.03167) over the global batch;
    ranks may have different numbers of rows.
    """

    def forward(self: Any, input: Tensor) -> Tensor:  # noqa: A002  # torch's name
        """Normalise ``(batch, channels, ...)`` over all dimensions but the channels."""
        if not (self.training and distributed.is_initialized()):
            normalised: Tensor = super().forward(input)  # type: ignore[misc]
            return normalised
        axes = [axis for axis in range(input.dim()) if axis != 1]
        per_channel = [1, -1] + [1] * (input.dim() - 2)
        values = input.float()
        count = _sum_over_ranks(values.new_tensor(values.numel() / values.shape[1]))
        mean = _sum_over_ranks(values.sum(axes)) / count
        centred = values - mean.view(per_channel)
        variance = _sum_over_ranks(centred.square().sum(axes)) / count
        if self.track_running_stats:
            _track(self, mean.detach(), variance.detach() * count / (count - 1))
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        normalised = centred * scale.view(per_channel)
        if self.affine:
            normalised = normalised + self.bias.view(per_channel)
        return normalised.to(input.dtype)


class SyncedBatchNorm1d(_Synced, nn.BatchNorm1d):
    """Normalises ``(batch, channels)`` and ``(batch, channels, length)``."""


class SyncedBatchNorm2d(_Synced, nn.BatchNorm2d):
    """Normalises ``(batch, channels, height, width)``."""


class SyncedBatchNorm3d(_Synced, nn.BatchNorm3d):
    """Normalises ``(batch, channels, depth, height, width)``."""


SYNCED: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: SyncedBatchNorm1d,
    nn.BatchNorm2d: SyncedBatchNorm2d,
    nn.BatchNorm3d: SyncedBatchNorm3d,
}


def _track(norm: Any, mean: Tensor, variance: Tensor) -> None:
    """Update the running statistics with those of a batch, ``(channels,)`` each."""
    norm.num_batches_tracked.add_(1)
    # Without momentum they are the mean over all batches so far.
    momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, momentum)
    norm.running_var.lerp_(variance, momentum)


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Every rank's loss depends on the values of every rank.
        return _SumOverRanks.forward(ctx, gradient)


def _sum_over_ranks(values: Tensor) -> Tensor:
    """Return the sum of a tensor over all ranks, of the same shape."""
    total: Tensor = _SumOverRanks.apply(values)  # type: ignore[no-untyped-call]
    return total

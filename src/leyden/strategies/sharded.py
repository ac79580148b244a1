"""A network whose parameters are shared out among ranks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import StochasticWeightAveraging, WeightAveraging
from lightning.pytorch.strategies import ModelParallelStrategy, ParallelStrategy
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.optim import SGD

from leyden.checkpoints import shards
from leyden.errors import UserError
from leyden.files import META, unwritable
from leyden.strategies.layers import shard


class Sharded(ModelParallelStrategy):
    """FSDP2: each rank holds a part of every parameter, gradient and optimizer state.

    A network that no device can hold starts when it is built in ``configure_model``: the first
    rank builds it on the host, the others without memory, and it is then shared out layer by
    layer. Checkpoints are folders, see ``leyden.checkpoints.shards``. They have the entries of
    ordinary ones, and so each kind is read with any number of ranks, and with one process.
    """

    # Lightning's own checkpoints of this strategy have entries of their own, which it puts in
    # place while it reads them. These here are put in place as with any other strategy.
    lightning_module_state_dict = ParallelStrategy.lightning_module_state_dict
    load_model_state_dict = ParallelStrategy.load_model_state_dict
    optimizer_state = ParallelStrategy.optimizer_state
    lightning_restore_optimizer = ParallelStrategy.lightning_restore_optimizer

    def __init__(self) -> None:
        super().__init__()
        self.mesh: DeviceMesh | None = None

    @property
    def distributed_sampler_kwargs(self) -> dict[str, Any]:
        """Give each rank rows of its own."""
        return {"num_replicas": self.world_size, "rank": self.global_rank}

    def setup_environment(self) -> None:
        """Connect the ranks.

        Raises:
            UserError: the trainer has something that does not work with parts of parameters.
        """
        assert self.lightning_module is not None
        for callback in self.lightning_module.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging | StochasticWeightAveraging):
                raise UserError(
                    f"{type(callback).__name__} needs the whole network on each rank, but "
                    "trainer=fsdp shares it out. Leave the callback out, or choose trainer=ddp."
                )
        if getattr(self.precision_plugin, "scaler", None) is not None:
            raise UserError(
                "trainer.precision=16-mixed watches the gradients of each rank, but trainer=fsdp "
                "shares them out. Choose trainer.precision=bf16-mixed or 32-true."
            )
        super().setup_environment()
        self.mesh = init_device_mesh(self.root_device.type, (self.world_size,))

    @contextmanager
    def tensor_init_context(
        self,
        empty_init: bool | None = None,  # noqa: ARG002, FBT001  # Lightning's signature
    ) -> Iterator[None]:
        """Let ``configure_model`` build on the host of the first rank, elsewhere without memory."""
        place = torch.device("cpu" if self.is_global_zero else "meta")
        with place, self.precision_plugin.tensor_init_context():
            yield

    def setup(self, trainer: Trainer) -> None:
        """Share out what has parameters, once."""
        assert self.lightning_module is not None
        assert self.mesh is not None
        for part in self.lightning_module.children():
            if any(True for _ in part.parameters()) and not isinstance(part, FSDPModule):
                shard(part, self.mesh, self.root_device)
        super().setup(trainer)

    def setup_optimizers(self, trainer: Trainer) -> None:
        """Build the optimizers over the parts of this rank."""
        super().setup_optimizers(trainer)
        self._unfuse()

    def process_dataloader(self, dataloader: Any) -> Any:
        """Refuse a loader that would let ranks wait for one another for ever.

        Raises:
            UserError: ranks have different numbers of batches.
        """
        numbers: list[int] = [0] * self.world_size
        torch.distributed.all_gather_object(numbers, len(dataloader))
        if len(set(numbers)) > 1:
            raise UserError(
                f"trainer=fsdp needs the same number of batches on each rank, but they have "
                f"{', '.join(map(str, numbers))}: a split has fewer rows than there are ranks. "
                "Choose fewer ranks by trainer.devices, or give that split more rows."
            )
        return dataloader

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        filepath: str | os.PathLike[str],
        storage_options: Any | None = None,  # noqa: ARG002  # Lightning's signature
    ) -> None:
        """Write a sharded checkpoint; every rank has to call this.

        Raises:
            UserError: the disk is full or does not take it; what stood there before still does.
        """
        path = Path(filepath)
        try:
            shards.write(checkpoint, path, write_meta=self.checkpoint_io.save_checkpoint)
        except OSError as error:
            raise unwritable(path, error) from error

    def load_checkpoint(
        self,
        checkpoint_path: str | os.PathLike[str],
        weights_only: bool | None = None,  # noqa: ARG002, FBT001  # Lightning's signature
    ) -> dict[str, Any]:
        """Read a checkpoint of either kind, its tensors shared out; only to train, all of them."""
        assert self.lightning_module is not None
        path = Path(self.broadcast(str(checkpoint_path)))
        if not path.is_dir():
            return self._shared_out(self.checkpoint_io.load_checkpoint(path))
        meta = self.checkpoint_io.load_checkpoint(path / META)
        only = None if self.lightning_module.trainer.training else ("state_dict",)
        return shards.fill(meta, path, only=only, mesh=self.mesh)

    def load_optimizer_state_dict(self, checkpoint: Any) -> None:
        """Put the state of the optimizers in place."""
        ParallelStrategy.load_optimizer_state_dict(self, checkpoint)
        self._unfuse()

    def _unfuse(self) -> None:
        """Let SGD step without its fused kernel: torch 2.13 has none for parts of parameters."""
        for optimizer in self.optimizers:
            if isinstance(optimizer, SGD):
                for group in optimizer.param_groups:
                    group["fused"] = False

    def _shared_out(self, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Share out the tensors of an ordinary checkpoint as the network and optimizers are."""
        assert self.lightning_module is not None
        own = self.lightning_module.state_dict()
        checkpoint["state_dict"] = {
            name: self._part(value) if isinstance(own.get(name), DTensor) else value
            for name, value in checkpoint["state_dict"].items()
        }
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=False):
            parameters = [each for group in optimizer.param_groups for each in group["params"]]
            for number, values in state["state"].items():
                for name, value in values.items():
                    if isinstance(value, Tensor) and value.shape == parameters[number].shape:
                        values[name] = self._part(value)
        return checkpoint

    def _part(self, tensor: Tensor) -> Tensor:
        return distribute_tensor(tensor, self.mesh, [Shard(0)], src_data_rank=None)

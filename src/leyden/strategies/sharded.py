"""The strategy of ``trainer=fsdp``, which shards the network across ranks."""

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
from leyden.checkpoints.files import META, unwritable
from leyden.errors import UserError
from leyden.strategies.layers import shard


class Sharded(ModelParallelStrategy):
    """FSDP2: each rank holds a shard of every parameter, gradient and optimizer state.

    ``configure_model`` builds the network in host memory on the first rank and on the ``meta``
    device on the others; it is then sharded layer by layer, so that it need not fit on one device.
    A checkpoint is a folder with the entries of an ordinary checkpoint, see
    ``leyden.checkpoints.shards``; both kinds can be read with any number of ranks.
    """

    # Lightning's checkpoints of this strategy have other entries and are restored while they are
    # read. Ours are restored as in all other strategies.
    lightning_module_state_dict = ParallelStrategy.lightning_module_state_dict
    load_model_state_dict = ParallelStrategy.load_model_state_dict
    optimizer_state = ParallelStrategy.optimizer_state
    lightning_restore_optimizer = ParallelStrategy.lightning_restore_optimizer

    def __init__(self) -> None:
        super().__init__()
        self.mesh: DeviceMesh | None = None

    @property
    def distributed_sampler_kwargs(self) -> dict[str, Any]:
        """Arguments of a distributed sampler: the number of ranks and the rank."""
        return {"num_replicas": self.world_size, "rank": self.global_rank}

    def setup_environment(self) -> None:
        """Connect the ranks and build the device mesh.

        Raises:
            UserError: If a callback or the precision does not work with sharded parameters.
        """
        assert self.lightning_module is not None
        for callback in self.lightning_module.trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, WeightAveraging | StochasticWeightAveraging):
                raise UserError(
                    f"{type(callback).__name__} needs the whole network on each rank, but "
                    "trainer=fsdp shards it. Leave the callback out, or choose trainer=ddp."
                )
        if getattr(self.precision_plugin, "scaler", None) is not None:
            raise UserError(
                "trainer.precision=16-mixed checks the gradients of each rank, but trainer=fsdp "
                "shards them. Choose trainer.precision=bf16-mixed or 32-true."
            )
        super().setup_environment()
        self.mesh = init_device_mesh(self.root_device.type, (self.world_size,))

    @contextmanager
    def tensor_init_context(
        self,
        empty_init: bool | None = None,  # noqa: ARG002, FBT001  # Lightning's signature
    ) -> Iterator[None]:
        """Build modules in host memory on the first rank, and on ``meta`` on the others."""
        place = torch.device("cpu" if self.is_global_zero else "meta")
        with place, self.precision_plugin.tensor_init_context():
            yield

    def setup(self, trainer: Trainer) -> None:
        """Shard every child of the task that has parameters, unless it is sharded."""
        assert self.lightning_module is not None
        assert self.mesh is not None
        for child in self.lightning_module.children():
            if any(True for _ in child.parameters()) and not isinstance(child, FSDPModule):
                shard(child, self.mesh, self.root_device)
        super().setup(trainer)

    def setup_optimizers(self, trainer: Trainer) -> None:
        """Build the optimizers over the shards of this rank."""
        super().setup_optimizers(trainer)
        self._unfuse()

    def process_dataloader(self, dataloader: Any) -> Any:
        """Return the loader, unless the ranks would deadlock.

        Args:
            dataloader: Loader of this rank's batches.

        Raises:
            UserError: If the ranks have different numbers of batches.
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
        """Write a sharded checkpoint; called on every rank.

        Args:
            checkpoint: Entries of the checkpoint, as in ``Trainer.save_checkpoint``.
            filepath: Folder to write to.
            storage_options: Ignored.

        Raises:
            UserError: If the disk is full or read-only; the previous checkpoint is kept.
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
        """Read an ordinary or sharded checkpoint and shard its tensors.

        Args:
            checkpoint_path: File or folder.
            weights_only: Ignored; checkpoints are always read with ``weights_only=True``.

        Returns:
            Entries of the checkpoint; outside training, only the weights of a sharded one.
        """
        assert self.lightning_module is not None
        path = Path(self.broadcast(str(checkpoint_path)))
        if not path.is_dir():
            return self._sharded(self.checkpoint_io.load_checkpoint(path))
        meta = self.checkpoint_io.load_checkpoint(path / META)
        only = None if self.lightning_module.trainer.training else ("state_dict",)
        return shards.fill(meta, path, only=only, mesh=self.mesh)

    def load_optimizer_state_dict(self, checkpoint: Any) -> None:
        """Restore the state of the optimizers from a checkpoint."""
        ParallelStrategy.load_optimizer_state_dict(self, checkpoint)
        self._unfuse()

    def _unfuse(self) -> None:
        """Disable the fused kernel of SGD, which torch 2.13 lacks for sharded parameters."""
        for optimizer in self.optimizers:
            if isinstance(optimizer, SGD):
                for group in optimizer.param_groups:
                    group["fused"] = False

    def _sharded(self, checkpoint: dict[str, Any]) -> dict[str, Any]:
        """Shard the tensors of an ordinary checkpoint like those of the network and optimizers."""
        assert self.lightning_module is not None
        own = self.lightning_module.state_dict()
        checkpoint["state_dict"] = {
            name: self._shard(value) if isinstance(own.get(name), DTensor) else value
            for name, value in checkpoint["state_dict"].items()
        }
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=False):
            parameters = [each for group in optimizer.param_groups for each in group["params"]]
            for number, values in state["state"].items():
                for name, value in values.items():
                    if isinstance(value, Tensor) and value.shape == parameters[number].shape:
                        values[name] = self._shard(value)
        return checkpoint

    def _shard(self, tensor: Tensor) -> Tensor:
        return distribute_tensor(tensor, self.mesh, [Shard(0)], src_data_rank=None)

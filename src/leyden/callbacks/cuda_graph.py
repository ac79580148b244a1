"""The kernels of a small network, launched together."""

import logging
import warnings
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, nn
from torch.autograd.graph import set_warn_on_accumulate_grad_stream_mismatch

from leyden.errors import UserError

log = logging.getLogger(__name__)


class CudaGraph(Callback):
    """Records the network's kernels once, and launches them together in each training step.

    A GPU is through with the kernels of a small network sooner than the host can launch them one
    by one: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs. Batches of another
    shape than the first, those of validation, and all but the first pass of a step run as they do
    without. Hooks and Python code in the network run at the recording alone.
    """

    def __init__(self) -> None:
        self._recorded: RecordedForward | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the network record itself at its first training step, if that is on a GPU.

        Raises:
            UserError: the run accumulates gradients, has several ranks or compiles its network.
        """
        _check(trainer, pl_module)
        if pl_module.device.type == "cuda":
            # The record keeps nodes of its own stream alive, which autograd syncs with the step's.
            set_warn_on_accumulate_grad_stream_mismatch(enabled=False)
            network: Any = pl_module.network
            network.forward = self._recorded = RecordedForward(network)
        else:
            log.info("callbacks.cuda_graph has nothing to record on %s", pl_module.device)

    def on_train_batch_start(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Let the record run again: what the last step went back through is no longer needed."""
        if self._recorded is not None:
            self._recorded.is_free = True

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        """Give the network its own way back."""
        if self._recorded is not None:
            self._recorded = None
            network: Any = pl_module.network
            del network.forward
            set_warn_on_accumulate_grad_stream_mismatch(enabled=True)


class RecordedForward:
    """Stands in for a network's ``forward``, which takes tensors by name and gives a tensor.

    Attributes:
        is_free: whether the record may run. A second run before the way back would overwrite what
            the first one has left for it.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.own_forward = network.forward
        self.replay: Any = None
        self.layouts: list[Any] = []
        self.is_free = False

    def __call__(self, **inputs: Tensor) -> Tensor:
        """Run the network, in training by its record if that is free and the inputs fit it."""
        if self.is_free and self.network.training and torch.is_grad_enabled():
            if self.replay is None:
                self.layouts, self.replay = _layouts(inputs), self._record(inputs)
            if _layouts(inputs) == self.layouts:
                self.is_free = False
                return self.replay(*inputs.values())  # type: ignore[no-any-return]
        return self.own_forward(**inputs)  # type: ignore[no-any-return]

    def _record(self, inputs: dict[str, Tensor]) -> Any:
        """Record a pass forth and back, for which buffers and generators are put back."""
        network = ByPosition(network=self.network, forward=self.own_forward, names=list(inputs))
        samples = tuple(value.clone() for value in inputs.values())
        buffers = [(buffer, buffer.clone()) for buffer in self.network.buffers()]
        gpus = [each.device for each in samples if each.is_cuda]
        with torch.random.fork_rng(devices=gpus), warnings.catch_warnings():
            # The thread that goes back is new, and its first kernel may be a matrix product.
            warnings.filterwarnings("ignore", message=".*there was no current CUDA context")
            recorded = torch.cuda.make_graphed_callables(network, samples, allow_unused_input=True)
        for buffer, before in buffers:
            buffer.copy_(before)
        return recorded


class ByPosition(nn.Module):
    """A network that takes its inputs by position, as the recorder gives them."""

    def __init__(self, *, network: nn.Module, forward: Any, names: list[str]) -> None:
        super().__init__()
        self.network = network  # whose parameters are asked for
        self.own_forward = forward
        self.names = names

    def forward(self, *values: Tensor) -> Tensor:
        """Name the inputs."""
        logits: Tensor = self.own_forward(**dict(zip(self.names, values, strict=True)))
        return logits


def _layouts(inputs: dict[str, Tensor]) -> list[Any]:
    return [(name, each.shape, each.stride(), each.dtype) for name, each in inputs.items()]


def _check(trainer: Trainer, module: LightningModule) -> None:
    # The record's gradients are overwritten by its next run, and the optimizer's are the same.
    for remedy, asked in (
        ("trainer.accumulate_grad_batches=1", trainer.accumulate_grad_batches > 1),
        ("trainer=auto", not isinstance(trainer.strategy, SingleDeviceStrategy)),
        ("task.compile_network=false", getattr(module, "compile_network", False)),
    ):
        if asked:
            raise UserError(
                "callbacks.cuda_graph records a network that one device holds, and that learns "
                f"from each batch. Give {remedy}, or leave cuda_graph out of callbacks."
            )

"""CUDA graphs, which launch all kernels of a small network together."""

import logging
import warnings
from types import MethodType
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor, nn
from torch.autograd.graph import set_warn_on_accumulate_grad_stream_mismatch

from leyden.errors import UserError

log = logging.getLogger(__name__)


class CudaGraph(Callback):
    """Captures the network's kernels once, and launches them together in each training step.

    A GPU executes the kernels of a small network faster than the host can launch them one by one:
    https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs. The graph is not used for
    batches of another shape than the first, for validation, for all but the first forward pass of
    a step, and once a parameter or buffer has been replaced, frozen or unfrozen. Hooks and Python
    code in the network run only while it is captured.
    """

    def __init__(self) -> None:
        self._graphed: GraphedForward | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Capture the network at its first training step if it is on a GPU.

        Raises:
            UserError: If the run has several ranks or compiles its network.
        """
        _check(trainer, pl_module)
        if pl_module.device.type == "cuda":
            # The graph keeps autograd nodes of its own stream alive; autograd synchronises both.
            set_warn_on_accumulate_grad_stream_mismatch(enabled=False)
            network: Any = pl_module.network
            network.forward = self._graphed = GraphedForward(network)
        else:
            log.info("callbacks.cuda_graph has nothing to do on %s", pl_module.device)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Allow a replay: the backward pass of the last step no longer needs the graph's memory."""
        if self._graphed is not None:
            if batch_idx == 0:  # callbacks change networks when an epoch begins
                self._graphed.drop_if_changed()
            self._graphed.can_replay = True

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log in how many steps the graph was replayed."""
        if self._graphed is not None:
            replays, steps = self._graphed.replays, trainer.global_step
            log.info("callbacks.cuda_graph: replayed in %d of %d steps", replays, steps)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restore the network's own ``forward``."""
        if self._graphed is not None:
            self._graphed = None
            network: Any = pl_module.network
            del network.forward
            set_warn_on_accumulate_grad_stream_mismatch(enabled=True)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Restore the network's own ``forward``; Lightning calls no ``teardown`` after an error."""
        self.teardown(trainer, pl_module, "fit")


class GraphedForward:
    """Replaces a network's ``forward``.

    Attributes:
        can_replay: Whether the graph may be replayed. A second replay before the backward pass
            would overwrite the activations of the first one.
        replays: Number of replays.
    """

    def __init__(self, network: nn.Module) -> None:
        self.can_replay = False
        self.replays = 0
        self._network = network
        self._own_forward = network.forward
        self._parameters: list[nn.Parameter] = []
        self._replay: Any = None
        self._signature: Any = None
        self._state: Any = None

    def __call__(self, *args: Any, **inputs: Any) -> Any:
        """Replay the graph in training if that is allowed and the inputs fit, else run eagerly."""
        signature = None if args else _signature(inputs)
        if self.can_replay and signature and self._network.training and torch.is_grad_enabled():
            if self._signature is None:
                self._capture(inputs)
                self._signature = signature
            if signature == self._signature:
                self.can_replay = False
                self.replays += 1
                # The next replay overwrites the graph's own output.
                output: Tensor = self._replay(*inputs.values()).clone()
                output.register_hook(self._keep_gradients)  # type: ignore[no-untyped-call]
                return output
        return self._own_forward(*args, **inputs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Return the plain ``forward`` for a copy of the network."""
        copied = memo[id(self._network)]
        return MethodType(type(copied).forward, copied)

    def drop_if_changed(self) -> None:
        """Drop the graph if the network no longer holds the captured tensors."""
        if self._replay is not None and self._state != _state(self._network):
            log.info("callbacks.cuda_graph stops: the network has changed since its capture")
            self._replay, self._signature = None, ()

    def _capture(self, inputs: dict[str, Tensor]) -> None:
        """Capture a forward and a backward pass, then restore buffers and generators."""
        network = PositionalInputs(
            network=self._network, forward=self._own_forward, names=list(inputs)
        )
        samples = tuple(value.clone() for value in inputs.values())
        buffers = [(buffer, buffer.clone()) for buffer in self._network.buffers()]
        gpus = [each.device for each in samples if each.is_cuda]
        with torch.random.fork_rng(devices=gpus), warnings.catch_warnings():
            # The thread of the backward pass is new, and its first kernel may be a matrix product.
            warnings.filterwarnings("ignore", message=".*there was no current CUDA context")
            try:
                self._replay = torch.cuda.make_graphed_callables(
                    network, samples, allow_unused_input=True
                )
            except RuntimeError as error:
                raise UserError(
                    f"callbacks.cuda_graph cannot capture the network: {error}. Leave cuda_graph "
                    "out of callbacks."
                ) from error
        for buffer, before in buffers:
            buffer.copy_(before)
        self._parameters = list(self._network.parameters())
        self._state = _state(self._network)

    def _keep_gradients(self, _: Tensor) -> None:
        """Copy accumulated gradients, which may be the graph's own memory that it overwrites."""
        for parameter in self._parameters:
            if parameter.grad is not None:
                parameter.grad = parameter.grad.clone()


class PositionalInputs(nn.Module):
    """A network that takes its inputs by position, as ``make_graphed_callables`` passes them."""

    def __init__(self, *, network: nn.Module, forward: Any, names: list[str]) -> None:
        super().__init__()
        self.network = network  # make_graphed_callables asks for its parameters
        self.own_forward = forward
        self.names = names

    def forward(self, *values: Tensor) -> Tensor:
        """Call the network's own ``forward`` by keyword."""
        output: Tensor = self.own_forward(**dict(zip(self.names, values, strict=True)))
        return output


def _signature(inputs: dict[str, Any]) -> list[Any] | None:
    """Return names, shapes, strides and dtypes; ``None`` if an input is not a tensor."""
    if not all(isinstance(value, Tensor) for value in inputs.values()):
        return None
    return [(name, each.shape, each.stride(), each.dtype) for name, each in inputs.items()]


def _state(network: nn.Module) -> list[Any]:
    """Return the addresses that a graph reads and writes, and which tensors require gradients."""
    tensors = (*network.parameters(), *network.buffers())
    return [(tensor.data_ptr(), tensor.requires_grad) for tensor in tensors]


def _check(trainer: Trainer, module: LightningModule) -> None:
    for given, remedy in (
        (not isinstance(trainer.strategy, SingleDeviceStrategy), "trainer=auto trainer.devices=1"),
        (getattr(module, "compile_network", False), "task.compile_network=false"),
    ):
        if given:
            raise UserError(
                "callbacks.cuda_graph needs a network that is on one device and is not "
                f"compiled. Give {remedy}, or leave cuda_graph out of callbacks."
            )

"""Training with a CUDA graph on a GPU, and with an imitation of one on the CPU."""

from copy import deepcopy
from unittest.mock import patch

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import (
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    StochasticWeightAveraging,
)
from torch import nn
from torch.func import functional_call
from torch.utils.data import DataLoader

from leyden.callbacks.cuda_graph import CudaGraph, GraphedForward
from leyden.checkpoints.io import load_checkpoint
from leyden.runs.folder import RunFolder

WORDS = ("callbacks=[default,cuda_graph]",)


class Graphs:
    """Captures as ``torch.cuda.make_graphed_callables`` does, and counts the replays.

    A graph reads and writes the tensors of its capture, goes back to what needed gradients then,
    and gives its output and its gradients in memory that its next run overwrites.
    """

    def __init__(self) -> None:
        self.replays = 0

    def capture(self, module, samples, *, allow_unused_input):
        assert allow_unused_input
        for _ in range(3):
            module(*samples)
        weights = {name: each.detach() for name, each in module.named_parameters()}
        learned = [name for name, each in module.named_parameters() if each.requires_grad]
        for name in learned:
            weights[name].requires_grad_()
        static = weights | dict(module.named_buffers())
        gradients = {name: torch.zeros_like(weights[name]) for name in learned}
        last = {"shown": module(*samples).detach()}
        graphs = self

        class Replay(torch.autograd.Function):
            @staticmethod
            def forward(_, *values):
                graphs.replays += 1
                with torch.enable_grad():
                    last["output"] = functional_call(module, static, values[: len(samples)])
                return last["shown"].copy_(last["output"].detach()).detach()

            @staticmethod
            def backward(_, gradient):
                found = torch.autograd.grad(last["output"], [weights[n] for n in learned], gradient)
                for name, value in zip(learned, found, strict=True):
                    gradients[name].copy_(value)
                given = [gradients[n].detach() if n in gradients else None for n in weights]
                return (*[None] * len(samples), *given)

        return lambda *values: Replay.apply(*values, *module.parameters())


@pytest.fixture
def graphs(monkeypatch):
    graphs = Graphs()
    monkeypatch.setattr("torch.cuda.make_graphed_callables", graphs.capture)
    return graphs


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Linear(6, 8)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, 1)

    def forward(self, images, mask=None):
        hidden = nn.functional.dropout(self.norm(self.backbone(images)), 0.3, self.training)
        return self.head(hidden.relu() if mask is None else hidden * mask)


class Task(LightningModule):
    def __init__(self, optimizer=torch.optim.SGD) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = Network()
        self.optimizer = optimizer

    def training_step(self, batch):
        images, targets = batch
        return nn.functional.mse_loss(self.network(images=images), targets)

    def configure_optimizers(self):
        return self.optimizer(self.parameters(), lr=0.05)


class OnTheCpu(CudaGraph):
    def on_fit_start(self, trainer, pl_module):
        with patch.object(Task, "device", torch.device("cuda")):
            super().on_fit_start(trainer, pl_module)


class TwoPasses(Task):
    def training_step(self, batch):
        images, targets = batch
        first, second = self.network(images=images), self.network(images=images.flip(1))
        return nn.functional.mse_loss(first, targets) + nn.functional.l1_loss(second, targets)


class ByHand(Task):
    automatic_optimization = False

    def training_step(self, batch, batch_idx):
        self.manual_backward(super().training_step(batch))
        if batch_idx % 2:
            self.optimizers().step()
            self.optimizers().zero_grad()


class SeesNoGraph(Task):
    def training_step(self, batch):
        images, targets = batch
        return nn.functional.mse_loss(self.network(images, mask=None), targets)


class ZeroesInPlace(torch.optim.SGD):
    def zero_grad(self, *_):
        super().zero_grad(set_to_none=False)


class Unfreezes(Callback):
    def setup(self, _, pl_module, stage):  # noqa: ARG002
        pl_module.network.backbone.requires_grad_(False)

    def on_train_epoch_start(self, trainer, pl_module):
        pl_module.network.backbone.requires_grad_(trainer.current_epoch > 0)


def fitted(task, callbacks, **options):
    task = task()
    generator = torch.Generator().manual_seed(1)
    rows = [(torch.randn(8, 6, generator=generator), torch.randn(8, 1)) for _ in range(6)]
    rows[3] = (rows[3][0][:5], rows[3][1][:5])  # another shape
    trainer = Trainer(
        max_epochs=4,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
        **options,
    )
    torch.manual_seed(2)
    trainer.fit(task, DataLoader(rows, batch_size=None))
    assert not isinstance(task.network.forward, GraphedForward)
    return task.network.state_dict()


@pytest.mark.parametrize(
    ("task", "callbacks", "options", "replays"),
    [
        (Task, [], {}, 20),
        (Task, [], {"gradient_clip_val": 0.5}, 20),
        (Task, [], {"accumulate_grad_batches": 2}, 20),
        (Task, [lambda: GradientAccumulationScheduler({1: 3})], {}, 20),
        (Task, [lambda: EMAWeightAveraging(decay=0.9, use_buffers=True)], {}, 20),
        (Task, [lambda: StochasticWeightAveraging(0.01, swa_epoch_start=1)], {}, 20),
        (Task, [Unfreezes], {}, 5),
        (lambda: Task(ZeroesInPlace), [], {}, 20),
        (TwoPasses, [], {}, 20),
        (ByHand, [], {}, 20),
        (SeesNoGraph, [], {}, 0),
    ],
    ids=["plain", "clipped", "accumulated", "accumulated later", "EMA", "SWA", "unfrozen",
         "zeroed in place", "two passes", "by hand", "by position"],
)  # fmt: skip
def test_a_graph_learns_the_same(task, callbacks, options, replays, graphs):
    plain = fitted(task, [make() for make in callbacks], **options)

    graphed = fitted(task, [OnTheCpu(), *[make() for make in callbacks]], **options)

    torch.testing.assert_close(graphed, plain, rtol=0, atol=0)
    assert graphs.replays == replays


def test_evaluation_and_copies_do_not_replay(graphs):
    network = Network()
    network.forward = GraphedForward(network)
    network.forward.can_replay = True
    images = torch.ones(4, 6)
    network(images=images)

    network.forward.can_replay = True
    with torch.no_grad():
        network(images=images)
    deepcopy(network)(images=images)
    network.eval()(images=images)

    assert graphs.replays == 1


@pytest.mark.usefixtures("graphs")
def test_earlier_outputs_are_not_overwritten():
    network = Network()
    network.forward = GraphedForward(network)
    outputs = []
    for value in (1.0, 2.0):
        network.forward.can_replay = True
        outputs.append(network(images=torch.randn(4, 6) * value))

    assert not torch.equal(*outputs)


def test_a_failed_capture_is_reported(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr("torch.cuda.make_graphed_callables", fail)

    with pytest.raises(Exception, match="cannot capture the network: operation not permitted"):
        fitted(Task, [OnTheCpu()])


@pytest.mark.parametrize(
    ("word", "remedy"),
    [("task.compile_network=true", "task.compile_network=false"), ("trainer=ddp", "trainer=auto")],
)
def test_unsupported_settings_are_refused(word, remedy, leyden_process, tmp_path):
    words = (*WORDS, "network=linear", word, "trainer.accelerator=cpu", "trainer.devices=1")

    done = leyden_process("train", *words, cwd=tmp_path)

    assert done.code == 2
    assert f"Give {remedy}" in done.err


def test_it_does_nothing_without_a_gpu(leyden):
    done = leyden("train", *WORDS, "trainer=cpu", "network=linear", "trainer.max_epochs=1")

    assert done.code == 0
    assert "nothing to do on cpu" in done.out


@pytest.mark.gpu
@pytest.mark.parametrize("words", [[], ["trainer.precision=32-true", "network.dropout=0.3"]])
def test_a_gpu_learns_the_same(words, leyden, tmp_path):
    words = (*words, "trainer=gpu", "deterministic=true", "trainer.max_epochs=3")

    for name, more in (("plain", []), ("graphed", WORDS)):
        done = leyden("train", *words, *more, f"name={name}", "callbacks.early_stopping=null")
        assert done.code == 0, done.err

    plain, graphed = (weights(tmp_path / "runs" / name) for name in ("plain", "graphed"))
    torch.testing.assert_close(graphed, plain, rtol=0, atol=0)


def weights(folder):
    (run,) = folder.iterdir()
    return load_checkpoint(RunFolder(run).last, only=("state_dict",))["state_dict"]

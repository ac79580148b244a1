"""Overhead of a training step, in counted operations, because times differ by machine."""

from collections import Counter
from contextlib import nullcontext

import pytest
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch.utils._python_dispatch import TorchDispatchMode

from leyden.callbacks.exact_resume import ExactResume
from leyden.callbacks.profiler import NoProfiler
from leyden.callbacks.stop_request import GracefulStop, StopRequest
from leyden.config.compose import compose, freeze
from leyden.tasks.base import Task
from leyden.workflows.assembly import build_data, build_task, build_trainer

WORDS = ("network=mlp", "trainer.max_epochs=1", "trainer=cpu", "callbacks.summary=null")
STEPS = 5


class Operations(TorchDispatchMode):
    """Counts the operations of torch that run inside."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def fit(tmp_path):
    """Fit an epoch of some steps, with callbacks before those of a run."""

    def fitted(steps, words, first=(), during=nullcontext):
        config = freeze(compose([*words, f"trainer.limit_train_batches={steps}"]))
        data = build_data(config)
        data.prepare_data()
        data.setup()
        task = build_task(config, data)
        trainer = build_trainer(
            config,
            tmp_path / str(steps),
            task=task,
            first=[*first, ExactResume()],
            last=GracefulStop(request=StopRequest()),
        )
        with during() as context:
            trainer.fit(task, datamodule=data)
        return context

    return fitted


@pytest.fixture
def count(fit, monkeypatch):
    """Count the operations of an epoch of some steps, the calls that log, and those of hooks."""

    def counted(steps, *words):
        calls: Counter[str] = Counter()
        log, profile = Task.log, NoProfiler.profile
        monkeypatch.setattr(
            Task, "log", lambda *args, **how: (calls.update(["log"]), log(*args, **how))
        )
        monkeypatch.setattr(
            NoProfiler, "profile", lambda of, name: (calls.update([name]), profile(of, name))[1]
        )
        operations = fit(steps, (*WORDS, *words), during=Operations)
        monkeypatch.undo()
        return operations.counts + calls

    return counted


@pytest.fixture
def never_waits():
    """Raise if the host waits for a GPU within a step, except the first and last few."""

    def watch(trainer, pl_module, batch, batch_idx):  # noqa: ARG001
        torch.cuda.set_sync_debug_mode("error" if 3 <= batch_idx < 20 else "default")

    yield LambdaCallback(on_train_batch_start=watch)
    torch.cuda.set_sync_debug_mode("default")


@pytest.fixture
def per_step(count):
    """Return the number of operations of one more step."""

    def differences(*words):
        few, many = count(STEPS, *words), count(2 * STEPS, *words)
        return {name: (many[name] - few[name]) / STEPS for name in many}

    return differences


def test_a_step_neither_synchronises_nor_logs(per_step):
    costs = per_step()

    assert costs["_local_scalar_dense"] == 0  # what .item() and float() are made of
    assert costs["log"] == 0
    assert costs["addmm"] > 0


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
@pytest.mark.parametrize("network", ["mlp", "cnn", "resnet"])
@pytest.mark.parametrize("callbacks", ["[default]", "[default,cuda_graph]"])
def test_a_step_does_not_wait_for_the_gpu(network, callbacks, fit, never_waits):
    words = (f"network={network}", f"callbacks={callbacks}", "trainer.max_epochs=1", "trainer=gpu")

    fit(25, words, first=[never_waits])


def test_idle_callbacks_are_not_called(per_step):
    hooks = {name for name, cost in per_step().items() if cost and name.startswith("[Callback]")}

    assert hooks == {
        "[Callback]Checkpoints.on_train_batch_end",
        "[Callback]ExactResume.on_train_batch_end",
        "[Callback]FiniteLoss.on_train_batch_end",
        "[Callback]GracefulStop.on_train_batch_end",
    }


def test_a_batch_is_gathered_and_normalised_without_copies(per_step):
    costs = per_step("data.augment=null")

    assert costs["index_select"] == 3  # their numbers, then images and targets, whole rows of them
    assert costs["index"] == 0
    assert costs["_to_copy"] <= 1  # the loss to the sum of losses


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_an_optimizer_launches_one_kernel_per_group(optimizer, per_step):
    costs = per_step(f"optimizer={optimizer}")

    kernels = sum(cost for name, cost in costs.items() if name.startswith("_fused_"))
    assert kernels == 2

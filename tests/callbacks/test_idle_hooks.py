import pytest
from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import LearningRateMonitor

from leyden.callbacks.idle_hooks import IN_TRAINING, OUTSIDE_TRAINING, idle_when, remove_idle_hooks
from leyden.config.compose import compose, freeze
from leyden.workflows.assembly import build_data, build_task, build_trainer


class Sleepy(Callback):
    def on_train_batch_start(self, *_) -> None: ...

    @idle_when(lambda own, module: own.asleep and module.automatic_optimization)
    def on_train_batch_end(self, *_) -> None: ...

    def __init__(self, *, asleep: bool) -> None:
        self.asleep = asleep


class Awake(Sleepy):
    def on_train_batch_end(self, *_) -> None: ...


class Counting(Callback):
    def __init__(self) -> None:
        self.batches = 0

    def on_train_batch_end(self, *_) -> None:
        self.batches += 1


def called(owner: Callback | LightningModule) -> set[str]:
    names = IN_TRAINING + OUTSIDE_TRAINING
    return {name for name in names if callable(getattr(owner, name))}


def test_hooks_that_no_class_overrides_are_removed() -> None:
    counting, module = Counting(), LightningModule()

    remove_idle_hooks(counting, module)
    remove_idle_hooks(module, module)

    assert called(counting) == {"on_train_batch_end"}
    assert called(module) == set(OUTSIDE_TRAINING)


@pytest.mark.parametrize(
    ("callback", "automatic", "is_kept"),
    [
        (Sleepy(asleep=True), True, False),
        (Sleepy(asleep=True), False, True),
        (Sleepy(asleep=False), True, True),
        (Awake(asleep=True), True, True),
    ],
)
def test_an_idle_hook_is_removed_unless_a_subclass_overrides_it(
    callback: Callback, automatic: bool, is_kept: bool
) -> None:
    module = LightningModule()
    module.automatic_optimization = automatic

    remove_idle_hooks(callback, module)

    kept = {"on_train_batch_end"} if is_kept else set()
    assert called(callback) == {"on_train_batch_start"} | kept


@pytest.mark.parametrize(
    ("interval", "kept"), [("step", {"on_train_batch_start"}), ("epoch", set())]
)
def test_the_learning_rate_monitor_is_called_per_step_if_it_logs_steps(interval, kept) -> None:
    monitor = LearningRateMonitor(logging_interval=interval)

    remove_idle_hooks(monitor, LightningModule())

    assert called(monitor) == kept


def test_a_hook_assigned_to_an_instance_is_kept() -> None:
    callback = Callback()
    callback.on_before_backward = print  # type: ignore[method-assign, assignment]

    remove_idle_hooks(callback, LightningModule())

    assert called(callback) == {"on_before_backward"}


def test_a_run_calls_only_overridden_hooks(tmp_path) -> None:
    words = ("network=linear", "trainer=debug", "callbacks.summary=null")
    config = freeze(compose(words))
    data = build_data(config)
    data.prepare_data()
    data.setup()
    counting, silent = Counting(), Callback()

    task = build_task(config, data)
    trainer = build_trainer(config, tmp_path, task=task, first=[counting], last=silent)
    trainer.fit(task, datamodule=data)

    assert counting.batches == 6  # two epochs of three
    assert called(silent) == set()

from lightning.pytorch import Callback, LightningModule

from leyden.config.compose import compose, freeze
from leyden.workflows.hooks import IN_TRAINING, OUTSIDE_TRAINING, leave_out_unused
from leyden.workflows.parts import build_data, build_task, build_trainer


class Idle(Callback):
    idle_hooks = ("on_train_batch_end",)

    def on_train_batch_start(self, *_) -> None: ...

    def on_train_batch_end(self, *_) -> None: ...


class Counting(Callback):
    def __init__(self) -> None:
        self.batches = 0

    def on_train_batch_end(self, *_) -> None:
        self.batches += 1


def called(owner: Callback | LightningModule) -> set[str]:
    names = IN_TRAINING + OUTSIDE_TRAINING
    return {name for name in names if callable(getattr(owner, name))}


def test_only_hooks_that_a_class_overrides_are_left() -> None:
    counting, module = Counting(), LightningModule()

    leave_out_unused(counting)
    leave_out_unused(module)

    assert called(counting) == {"on_train_batch_end"}
    assert called(module) == set(OUTSIDE_TRAINING)


def test_a_hook_that_its_callback_calls_idle_is_left_out() -> None:
    callback = Idle()

    leave_out_unused(callback)

    assert called(callback) == {"on_train_batch_start"}


def test_a_hook_that_an_instance_was_given_is_kept() -> None:
    callback = Callback()
    callback.on_before_backward = print  # type: ignore[method-assign, assignment]

    leave_out_unused(callback)

    assert called(callback) == {"on_before_backward"}


def test_a_run_calls_what_is_overridden_and_nothing_else(tmp_path) -> None:
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

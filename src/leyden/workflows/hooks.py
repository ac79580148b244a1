"""Hooks that run for every batch."""

from lightning.pytorch import Callback, LightningModule
from lightning.pytorch.callbacks import LearningRateMonitor

IN_TRAINING = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)

OUTSIDE_TRAINING = (
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_test_batch_start",
    "on_test_batch_end",
    "on_predict_batch_start",
    "on_predict_batch_end",
)


LIGHTNINGS_IDLE = {
    LearningRateMonitor.on_train_batch_start: lambda own, _: own.logging_interval == "epoch"
}
"""Hooks of Lightning's callbacks, and when they do nothing."""


def leave_out_unused(owner: Callback | LightningModule, module: LightningModule) -> None:
    """Let Lightning pass by the hooks of every batch that would do nothing.

    Those are the hooks that nobody has overridden, and those that are marked as idle for this
    module. Lightning calls a hook wherever it is callable, an empty one too, and prepares each
    call. With ten callbacks that makes some sixty calls a step, which cost as much as a small
    network's forward pass.
    """
    is_callback = isinstance(owner, Callback)
    base = Callback if is_callback else LightningModule
    # Lightning looks at the signatures of a module's other hooks.
    names = IN_TRAINING + OUTSIDE_TRAINING if is_callback else IN_TRAINING
    for name in names:
        hook = getattr(owner, name)
        function = getattr(hook, "__func__", hook)
        is_idle = getattr(function, "idle_when", LIGHTNINGS_IDLE.get(function))
        if function is getattr(base, name) or (is_idle and is_idle(owner, module)):
            setattr(owner, name, None)

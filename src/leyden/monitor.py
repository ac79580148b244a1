"""The direction in which a monitored metric improves."""

from typing import TYPE_CHECKING, Literal

from leyden.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lightning.pytorch import Trainer

Mode = Literal["min", "max"]


def mode_of(trainer: "Trainer", monitor: str, mode: Mode | None) -> Mode:
    """Return whether lower or higher values of a monitored metric are better.

    Tasks declare the directions of their own metrics in ``Task.modes``.

    Args:
        trainer: Trainer with a task, before training starts.
        monitor: Name under which the metric is logged, such as ``val/accuracy``.
        mode: Mode that the user has chosen; ``None`` uses the direction that the task declares.

    Raises:
        UserError: If the metric is not measured while training, is unknown and ``mode`` is not
            given, or contradicts ``mode``.
    """
    known: Mapping[str, Mode | None] = getattr(trainer.lightning_module, "modes", {})
    known = {name: better for name, better in known.items() if not name.startswith("test/")}
    if monitor.startswith("test/"):
        raise UserError(
            f"monitor={monitor} is not measured while training. Expected one of "
            f"{', '.join(sorted(known))}."
        )
    if monitor.startswith("val/") and trainer.limit_val_batches == 0:
        raise UserError(
            f"monitor={monitor} is not measured with trainer.limit_val_batches=0. Raise the limit, "
            "or give monitor=train/loss."
        )
    better = known.get(monitor)
    if mode and better and mode != better:
        raise UserError(
            f"mode={mode} contradicts monitor={monitor}, of which "
            f"{'lower' if better == 'min' else 'higher'} values are better. Leave mode out."
        )
    if chosen := mode or better:
        return chosen
    # `self.log` in a task may add metrics whose direction is not declared.
    fault = f"is not measured.{did_you_mean(monitor, known)}"
    if monitor in known:
        fault = "does not declare whether lower or higher values are better."
    raise UserError(
        f"monitor={monitor} {fault} For a metric of your own, give mode=min or mode=max."
    )


def out_of_fold(monitor: str) -> str:
    """Return the metric that a cross-validation is judged by: the monitored one, out of fold.

    What is monitored chose the best epoch, and is therefore too good.

    >>> out_of_fold("val/loss")
    'test/loss'
    """
    stage, slash, name = monitor.partition("/")
    return f"test/{name}" if stage == "val" else f"{stage}{slash}{name}"


def check_measured(monitor: str, measured: "Collection[str]") -> None:
    """Raise if a monitored metric has not been logged.

    Raises:
        UserError: If the metric is not among the logged ones.
    """
    if monitor not in measured:
        names = [name for name in measured if "/" in name]
        raise UserError(f"monitor={monitor} is not measured.{did_you_mean(monitor, names)}")

"""Whether lower or higher values of a monitored metric are better."""

from typing import TYPE_CHECKING, Literal

from leyden.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from lightning.pytorch import Trainer

Mode = Literal["min", "max"]


def mode_of(trainer: "Trainer", monitor: str, mode: Mode | None) -> Mode:
    """Return whether lower or higher values of a monitored metric are better.

    The task knows this of its own metrics, see ``Task.modes``.

    Args:
        trainer: The trainer, before training starts.
        monitor: Name of the metric, as it is logged, such as ``val/accuracy``.
        mode: The user's choice; ``None`` follows the metric.

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
    if mode is None and better is None:
        # A task's own `self.log` may add metrics whose direction nobody declares.
        fault = f"is not measured.{did_you_mean(monitor, known)}"
        if monitor in known:
            fault = "does not declare whether lower or higher values are better."
        raise UserError(
            f"monitor={monitor} {fault} For a metric of your own, give mode=min or mode=max."
        )
    if mode is not None and better is not None and mode != better:
        raise UserError(
            f"mode={mode} contradicts monitor={monitor}, of which "
            f"{'lower' if better == 'min' else 'higher'} values are better. Leave mode out."
        )
    chosen = mode or better
    assert chosen is not None
    return chosen


def out_of_fold(monitor: str) -> str:
    """Return the metric that a cross-validation is judged by: the monitored one, out of fold.

    What is monitored chose the best epoch, and is therefore too good.

    >>> out_of_fold("val/loss")
    'test/loss'
    """
    stage, slash, name = monitor.partition("/")
    return f"test/{name}" if stage == "val" else f"{stage}{slash}{name}"


def check_measured(monitor: str, measured: "Collection[str]") -> None:
    """Check that a monitored metric has been logged.

    Raises:
        UserError: If it is not among the names of the logged metrics.
    """
    if monitor not in measured:
        names = [name for name in measured if "/" in name]
        raise UserError(f"monitor={monitor} is not measured.{did_you_mean(monitor, names)}")

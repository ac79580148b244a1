"""Hooks that a run can do without."""

from collections.abc import Callable
from typing import Any, TypeVar

from lightning.pytorch import LightningModule

Hook = TypeVar("Hook", bound=Callable[..., Any])


def idle_when(condition: Callable[[Any, LightningModule], bool]) -> Callable[[Hook], Hook]:
    """Mark a callback's hook as one that does nothing under some condition.

    The trainer's builder then leaves it out; what a subclass puts in its place stays.

    Args:
        condition: tells it by the callback and the module that will be trained.
    """

    def mark(hook: Hook) -> Hook:
        hook.idle_when = condition  # type: ignore[attr-defined]
        return hook

    return mark

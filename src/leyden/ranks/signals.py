"""Signals that stop a run, and the exit codes of ``leyden``."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from leyden.errors import InterruptedRunError

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
"""Signals after which a run writes a checkpoint and stops."""

OK = 0

USER_ERROR = 2
"""The input is at fault; the message is one paragraph."""

STOPPED = os.EX_TEMPFAIL
"""Stopped from outside after saving everything; the same command can continue."""

INTERRUPTED = 128 + signal.SIGINT
"""Stopped by Ctrl-C, as shells number it."""


def install_handlers(handlers: Mapping[int, Any]) -> None:
    """Install signal handlers; does nothing outside the main thread, where Python forbids it."""
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def restore_handlers() -> Iterator[None]:
    """Restore the handlers of ``SIGNALS`` at the end of the block."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        install_handlers(before)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let a signal that nothing in the block handles stop it as it stops a run.

    Launchers then end the processes that they have started, and the state is recorded.

    Raises:
        InterruptedRunError: If a signal was received.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
        reason = f"stopped by {signal.Signals(number).name}"
        raise InterruptedRunError(reason, exit_code=exit_code(number))

    with restore_handlers():
        install_handlers(dict.fromkeys(SIGNALS, stop))
        yield


def is_interrupt(error: BaseException) -> bool:
    """Whether an error is a Ctrl-C, also if Lightning has turned it into an exit."""
    return KeyboardInterrupt in (type(error), type(error.__context__))


def exit_code(number: int) -> int:
    """Return the exit code of a run that a signal has stopped.

    >>> exit_code(signal.SIGTERM), exit_code(signal.SIGINT)
    (75, 130)
    """
    return INTERRUPTED if number == signal.SIGINT else STOPPED

"""Stopping a run on a signal, or at its time limit."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, Timer

from leyden.callbacks.checkpoints import Checkpoints, any_rank_asks, is_resumable, save
from leyden.checkpoints.files import LAST
from leyden.errors import InterruptedRunError
from leyden.ranks.signals import SIGNALS, STOPPED, exit_code, install_handlers, restore_handlers

log = logging.getLogger(__name__)


class StopRequest:
    """Turns a signal into a request that training handles after the current step.

    A second Ctrl-C stops the run at once, and so does any signal while nothing is being trained.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code = 0
        self.is_handled = False

    def listen(self) -> None:
        """Install the signal handlers."""
        install_handlers(dict.fromkeys(SIGNALS, self._receive))

    def ask(self, reason: str, *, exit_code: int = STOPPED) -> None:
        """Request a stop.

        Args:
            reason: Reason for the message and for ``status.json``.
            exit_code: Exit status of the command.
        """
        self.reason, self.exit_code = reason, exit_code

    def error(self) -> InterruptedRunError:
        """Return the error that ends the run."""
        return InterruptedRunError(str(self.reason), exit_code=self.exit_code)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.reason and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.reason:
            return
        self.ask(f"stopped by {signal.Signals(number).name}", exit_code=exit_code(number))
        if not self.is_handled:
            raise self.error()


@contextmanager
def stopping_on_signals() -> Iterator[StopRequest]:
    """Yield a request that signals fill in within the block."""
    request = StopRequest()
    with restore_handlers():
        request.listen()
        yield request


class GracefulStop(Checkpoint):
    """Handles a stop request: writes the last checkpoint after the current step and ends the run.

    The end of ``trainer.max_time`` counts as a request. This has to be the last of all callbacks.

    Args:
        request: The request to handle.

    Raises:
        InterruptedRunError: If a stop was requested; raised after the checkpoint has been written.
    """

    def __init__(self, *, request: StopRequest) -> None:
        self.request = request

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace Lightning's own signal handlers, with which several ranks deadlock."""
        self.request.listen()
        self.request.is_handled = True

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Stop after this batch if that is requested and training can resume from here."""
        if trainer.should_stop:
            self._check_time_limit(trainer)
        wanted = any_rank_asks(trainer, batch_idx, asked=self.request.reason is not None)
        if wanted and is_resumable(trainer, batch_idx):
            save(trainer, LAST)
            self._stop()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop after this epoch if that is requested."""
        asked = self.request.reason is not None
        if trainer.strategy.reduce_boolean_decision(asked, all=False):
            if not any(isinstance(other, Checkpoints) for other in trainer.checkpoint_callbacks):
                save(trainer, LAST)
            self._stop()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let signals stop the process at once from now on."""
        self.request.is_handled = False

    def _check_time_limit(self, trainer: Trainer) -> None:
        if any(isinstance(each, Timer) for each in trainer.callbacks):  # type: ignore[attr-defined]
            # Lightning would end the incomplete epoch here and regard the run as finished.
            trainer.should_stop = False
            self.request.ask("stopped by trainer.max_time")

    def _stop(self) -> None:
        if self.request.reason is None:
            self.request.ask("stopped together with another process")
        raise self.request.error()

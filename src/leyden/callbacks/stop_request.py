"""Stopping a run on request, by a signal or when its time is up."""

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, Timer

from leyden.callbacks.checkpoints import Checkpoints, agreed, is_resumable, save
from leyden.checkpoints.files import LAST
from leyden.errors import InterruptedRunError
from leyden.ranks.signals import SIGNALS, STOPPED, exit_code

log = logging.getLogger(__name__)


class StopRequest:
    """Turns a signal into a request that training handles after the current step.

    A second Ctrl-C stops the run at once, and so does any signal while nothing is being trained.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.exit_code = 0
        self.is_answered = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self.listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if threading.current_thread() is threading.main_thread():
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def listen(self) -> None:
        """Install the signal handlers; Python allows that in the main thread only."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._receive)

    def ask(self, reason: str, *, exit_code: int = STOPPED) -> None:
        """Request a stop.

        Args:
            reason: What asked for it, for the message and ``status.json``.
            exit_code: Exit status of the command.
        """
        self.reason, self.exit_code = reason, exit_code

    def error(self) -> InterruptedRunError:
        """Return the error that ends the run."""
        return InterruptedRunError(str(self.reason), exit_code=self.exit_code)

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if self.reason and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.reason:
            return
        self.ask(f"stopped by {signal.Signals(number).name}", exit_code=exit_code(number))
        if not self.is_answered:
            raise self.error()


class GracefulStop(Checkpoint):
    """Handles a stop request: writes the last checkpoint after the current step and ends the run.

    The end of ``trainer.max_time`` counts as a request. This has to be the last of all callbacks.

    Args:
        request: Request that the signal handlers fill in.

    Raises:
        InterruptedRunError: After the checkpoint has been written.
    """

    def __init__(self, *, request: StopRequest) -> None:
        self.request = request

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Replace Lightning's own signal handlers, with which several ranks deadlock."""
        self.request.listen()
        self.request.is_answered = True

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Stop after this batch if that is requested and training can resume from here."""
        if trainer.should_stop:
            self._ask_the_clock(trainer)
        wanted = agreed(trainer, batch_idx, asked=self.request.reason is not None)
        if wanted and is_resumable(trainer, batch_idx):
            save(trainer, LAST)
            self._stop()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop after this epoch if that is requested."""
        asked = self.request.reason is not None
        if trainer.strategy.reduce_boolean_decision(asked, all=False):
            if not any(isinstance(other, Checkpoints) for other in trainer.checkpoint_callbacks):
                save(trainer, LAST)
            self._stop()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Let signals stop at once what follows training."""
        self.request.is_answered = False

    def _ask_the_clock(self, trainer: Trainer) -> None:
        if any(isinstance(each, Timer) for each in trainer.callbacks):  # type: ignore[attr-defined]
            # Lightning would end the epoch here, incomplete, and call the run finished.
            trainer.should_stop = False
            self.request.ask("stopped by trainer.max_time")

    def _stop(self) -> None:
        if self.request.reason is None:
            self.request.ask("stopped, because another process was")
        raise self.request.error()

"""Starting the ranks of a run, and reporting their errors to the launcher."""

import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from leyden.errors import InterruptedRunError, UserError
from leyden.ranks.environment import rank
from leyden.ranks.signals import (
    INTERRUPTED,
    SIGNALS,
    STOPPED,
    USER_ERROR,
    exit_code,
    restore_handlers,
)

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

CRASHES = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)
"""Signals that end a rank before it can report an error."""

MAX_PER_CORE = 4
"""Most processes per CPU core; more would wait for each other and may exhaust the memory."""


def count_ranks(devices: int | str | Sequence[int], accelerator: str) -> int:
    """Return the number of processes to start on this machine, one per device.

    Args:
        devices: ``trainer.devices`` as Lightning takes it: a number, ``auto`` or indices of GPUs.
        accelerator: ``trainer.accelerator`` as Lightning takes it.

    Raises:
        UserError: If there are too few GPUs or CPU cores.
    """
    gpus = torch.cuda.device_count() if accelerator in ("auto", "gpu", "cuda") else 0
    if devices in ("auto", -1, "-1"):
        return max(gpus, 1)
    given = devices
    if isinstance(devices, str):
        devices = int(devices) if devices.isdecimal() else devices.strip(",").split(",")  # type: ignore[assignment]
    count = max(devices, 1) if isinstance(devices, int) else len(devices)
    if count > gpus and count > 1 and (gpus or accelerator in ("gpu", "cuda")):
        raise UserError(
            f"trainer.devices={given} needs {count} GPUs, but {gpus} are visible. Give "
            "trainer.devices=auto for all of them, or trainer.accelerator=cpu."
        )
    most = MAX_PER_CORE * (os.cpu_count() or 1)
    if not gpus and count > most:
        raise UserError(
            f"trainer.devices={given} starts {count} processes. Expected at most {most} on the CPU "
            "of this machine."
        )
    if accelerator == "cpu" and not isinstance(devices, int):
        raise UserError(
            f"trainer.devices={given} lists GPUs. Give trainer.devices={count} for as many "
            "processes on the CPU."
        )
    return count


def launch(words: Sequence[str], count: int, folder: Path) -> None:
    """Run ``python WORDS`` in several processes as torchrun does, and wait for all of them.

    A rank that fails ends the others. Signals are passed on to the ranks, which write a checkpoint
    and stop.

    Args:
        words: Arguments of the Python interpreter, such as ``("-m", "leyden", …)``.
        count: Number of processes.
        folder: Folder in which ranks report errors; see ``report_errors``.

    Raises:
        UserError: If the ranks refused their input.
        InterruptedRunError: If the ranks were stopped, and the run can be continued.
        ChildProcessError: If a rank failed.
    """
    # slow to import
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    settings = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        signals_to_handle=",".join(number.name for number in SIGNALS),
    )
    # One thread per core in each rank would be too many: they would wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // count, 1)))
    take_first_error(folder)  # of an earlier attempt
    try:
        with restore_handlers():  # torch replaces them
            elastic_launch(settings, sys.executable)(*words)
    except SignalException as error:
        raise InterruptedRunError(
            f"stopped by {error.sigval.name}", exit_code=exit_code(error.sigval)
        ) from error
    except ChildFailedError as error:
        raise _failure(error, count, folder) from error


def _failure(error: "ChildFailedError", count: int, folder: Path) -> BaseException:
    """Return the error to raise, with the report of the first rank that failed."""
    codes = {number: failure.exitcode for number, failure in error.failures.items()}
    reported = take_first_error(folder)
    different = set(codes.values())
    if len(different) > 1:
        # The launcher ended these ranks, which may have been about to report the same error.
        different.discard(-signal.SIGTERM)
    if different <= {STOPPED, INTERRUPTED}:
        reason = "interrupted" if reported is None else reported.message
        return InterruptedRunError(reason, exit_code=min(different))
    crashed = [(number, -code) for number, code in codes.items() if -code in CRASHES]
    if crashed:
        number, by = crashed[0]
        cause = f"Rank {number} was ended by {signal.Signals(by).name}"
    else:
        cause = "No rank reported an error" if reported is None else str(reported)
    if USER_ERROR in different and different <= {USER_ERROR, STOPPED}:
        return UserError(f"{cause.removesuffix('.')}. All {count} ranks were stopped.")
    return ChildProcessError(
        f"{cause.removesuffix('.')}. All {count} ranks were stopped; the output above and the logs "
        f"in {folder} have details."
    )


class RankError(NamedTuple):
    """An exception that ended a rank.

    Attributes:
        time: Seconds since the epoch.
        rank: The rank.
        kind: Name of the exception's class.
        message: The exception's message.
    """

    time: float
    rank: int
    kind: str
    message: str

    def __str__(self) -> str:
        return f"Rank {self.rank} failed with {self.kind}: {self.message}"


@contextmanager
def report_errors(folder: Path) -> Iterator[None]:
    """Write an exception of this rank to a folder, from which the launcher reads it."""
    try:
        yield
    except (Exception, InterruptedRunError) as error:
        report = RankError(time.time(), rank(), type(error).__name__, str(error))
        (folder / f"error.rank{rank()}.json").write_text(json.dumps(report))
        raise


def take_first_error(folder: Path) -> RankError | None:
    """Remove the errors that ranks have reported, and return the earliest."""
    reports = []
    for path in folder.glob("error.rank*.json"):
        text = path.read_text()
        path.unlink()
        with suppress(ValueError, TypeError):  # of a rank that was killed while it wrote
            moment, number, kind, message = json.loads(text)
            reports.append(RankError(float(moment), int(number), str(kind), str(message)))
    return min(reports, default=None)

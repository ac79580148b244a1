"""Several processes for one run.

Every rank starts from the run folder alone: ``leyden train run=FOLDER`` reads the frozen config
that stands there. No rank composes anything anew, so all train the same thing in the same place,
in a sweep too.
"""

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from leyden.callbacks.stop_request import SIGNALS
from leyden.config.compose import Config
from leyden.errors import InterruptedRunError, UserError
from leyden.ranks.environment import first_error, hand_over, is_launched
from leyden.runs.fixed_keys import config_in_force
from leyden.runs.folder import RunFolder

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

USER_ERROR, INTERRUPTED = 2, (os.EX_TEMPFAIL, 128 + signal.SIGINT)
"""Exit codes of ``leyden``."""


MOST_PER_CORE = 4
"""Processes on the CPU; more would only wait for one another, and may end the machine."""


def processes(config: Config) -> int:
    """Count the processes that this machine has to start for a config; 1 where it is a rank.

    Raises:
        UserError: they would need more GPUs than there are, or far more cores.
    """
    trainer = config.trainer
    devices = trainer.devices
    if is_launched():
        return 1
    gpus = torch.cuda.device_count() if trainer.accelerator in ("auto", "gpu", "cuda") else 0
    if devices in ("auto", -1, "-1"):
        return max(gpus, 1)
    if isinstance(devices, str):
        devices = int(devices) if devices.isdecimal() else devices.strip(",").split(",")
    count = max(devices, 1) if isinstance(devices, int) else len(devices)
    if count > gpus and count > 1 and (gpus or trainer.accelerator in ("gpu", "cuda")):
        raise UserError(
            f"trainer.devices={trainer.devices} needs {count} GPUs, but {gpus} can be seen. Give "
            "trainer.devices=auto for all of them, or trainer.accelerator=cpu."
        )
    most = MOST_PER_CORE * (os.cpu_count() or 1)
    if not gpus and count > most:
        raise UserError(
            f"trainer.devices={trainer.devices} starts {count} processes. Expected at most {most} "
            "on the CPU of this machine."
        )
    if trainer.accelerator == "cpu" and not isinstance(devices, int):
        raise UserError(
            f"trainer.devices={trainer.devices} numbers GPUs. Give trainer.devices={count} for as "
            "many processes on the CPU."
        )
    return count


def launch(config: Config, folder: RunFolder, count: int) -> None:
    """Start all ranks, as torchrun does, and wait for them; one that dies ends the others.

    Signals are handed on to the ranks, which write a checkpoint and stop.

    Raises:
        UserError: the input is at fault, as a rank has said.
        InterruptedRunError: the run was stopped, and can be continued.
        ChildProcessError: a rank failed.
    """
    # slow to import
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    first_error(folder.path)
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
    # As many threads in each rank as there are cores would make all of them wait for one another.
    os.environ.setdefault("OMP_NUM_THREADS", str(max((os.cpu_count() or 1) // count, 1)))
    with folder.held():  # which rank 0 does from here on
        pass
    try:
        with config_in_force(folder, config), _signal_handlers_kept():
            hand_over(folder.config)
            words = ("-m", "leyden", "train", f"run={folder.path}")
            elastic_launch(settings, sys.executable)(*words)
    except SignalException as error:
        code = 128 + signal.SIGINT if error.sigval == signal.SIGINT else os.EX_TEMPFAIL
        raise InterruptedRunError(f"stopped by {error.sigval.name}", exit_code=code) from error
    except ChildFailedError as error:
        raise _as_own(error, folder, count) from error


def _as_own(error: "ChildFailedError", folder: RunFolder, count: int) -> BaseException:
    """Say what the first rank that failed has said."""
    failures: dict[int, ProcessFailure] = error.failures
    codes = {failure.exitcode for failure in failures.values()}
    if len(codes) > 1:
        # Whoever ends first takes the others along, which may have been about to say the same.
        codes.discard(-signal.SIGTERM)
    stopped = codes.intersection(INTERRUPTED)
    if stopped and codes <= set(INTERRUPTED):
        reason = str(folder.read_status().get("error"))
        return InterruptedRunError(reason, exit_code=stopped.pop())
    killed = [
        f"rank {rank} was ended by {failure.signal_name()}"
        for rank, failure in failures.items()
        if -failure.exitcode in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)
    ]
    said = first_error(folder.path)
    cause = killed[0] if killed else said or "no rank said why"
    folder.write_status("failed", error=cause)
    if USER_ERROR in codes and codes <= {USER_ERROR, os.EX_TEMPFAIL}:
        return UserError(f"All of the {count} processes ended, for {cause}")
    return ChildProcessError(
        f"One of the {count} processes failed, and so the run ended. {cause}. More is said above "
        f"and in the logs in {folder.path}."
    )


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

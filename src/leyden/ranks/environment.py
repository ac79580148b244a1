"""The rank of this process, read from the environment variables of its launcher."""

import ctypes
import hashlib
import os
import signal
import sys
from multiprocessing import parent_process
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""From ``<linux/prctl.h>``."""

CONFIG_DIGEST = "LEYDEN_CONFIG_DIGEST"
"""Environment variable with the digest of the config that a launcher wrote."""


def rank() -> int:
    """Return the rank of this process in its job; 0 without a launcher."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return the number of ranks of the job; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_launched() -> bool:
    """Whether a launcher such as torchrun started this process as one of its ranks."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def shows_progress() -> bool:
    """Whether this process draws progress bars.

    Standard error has to be a terminal, which ranks and the processes of a pool share: only the
    first rank draws, and no process of a pool, so that there is one bar at a time.
    """
    return rank() == 0 and parent_process() is None and sys.stderr.isatty()


def trust_config(config: Path) -> None:
    """Make the ranks that this process starts trust the config file that it has written."""
    os.environ[CONFIG_DIGEST] = _digest(config)


def is_trusted(config: Path) -> bool:
    """Whether a config file equals, byte for byte, the one that this rank's launcher wrote."""
    return is_launched() and os.environ.get(CONFIG_DIGEST) == _digest(config)


def die_with_launcher() -> None:
    """Make the kernel kill this process when its parent dies, or has died (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        # The parent may have died while this process imported torch.
        if (parent := parent_process()) is not None and os.getppid() != parent.pid:
            os.kill(os.getpid(), signal.SIGKILL)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()

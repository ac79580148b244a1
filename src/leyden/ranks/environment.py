"""Which of several processes this one is, by what their launcher put into the environment."""

import ctypes
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>."""

CONFIG_DIGEST = "LEYDEN_CONFIG_DIGEST"
"""Environment variable for the ranks of a run."""


def rank() -> int:
    """Number this process among all of the job; 0 where there is but one."""
    return int(os.environ.get("RANK", "0"))


def is_launched() -> bool:
    """Tell whether a launcher such as torchrun started this process as one of its ranks."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def hand_over(config: Path) -> None:
    """Let the ranks that this process starts know the config that it has written as its own."""
    os.environ[CONFIG_DIGEST] = _digest(config)


def is_handed_over(config: Path) -> bool:
    """Whether a config is, byte for byte, the one that the launcher of this rank has written."""
    return is_launched() and os.environ.get(CONFIG_DIGEST) == _digest(config)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def die_with_launcher() -> None:
    """Let the kernel kill this process when the one that started it dies, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


@contextmanager
def errors_recorded(folder: Path) -> Iterator[None]:
    """Leave a rank's error where its launcher finds it."""
    try:
        yield
    except Exception as error:
        record = {"time": time.time(), "rank": rank(), "error": f"{type(error).__name__}: {error}"}
        (folder / f"error.rank{rank()}.json").write_text(json.dumps(record))
        raise


def first_error(folder: Path) -> str | None:
    """Give the error that came before those of the other ranks, and forget them all."""
    records = []
    for path in folder.glob("error.rank*.json"):
        text = path.read_text()
        path.unlink()
        with suppress(ValueError, TypeError, LookupError):  # of a rank that was killed meanwhile
            record = json.loads(text)
            records.append((float(record["time"]), f"rank {record['rank']}: {record['error']}"))
    return min(records)[1] if records else None

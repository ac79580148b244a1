"""Distributing jobs from the first rank to the others, which torchrun started with it.

``torchrun -m leyden train …`` starts every rank with the same words. Only the first rank composes
configs, sweeps and chooses folders; it publishes each job to the others through torchrun's store.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from leyden.errors import UserError
from leyden.ranks.environment import rank, world_size

LONGEST_WAIT = timedelta(days=7)
"""Time limit for the next job, which is published when the previous one has ended."""

SLOWEST_DISK = 60.0
"""Seconds until a shared disk shows a new file on all machines; NFS caches missing names."""

POLL_INTERVAL = 0.1
"""Seconds between two checks of the disk."""

END = "end"


class Jobs:
    """Queue of the jobs of the first rank, which all ranks run in the same order.

    Args:
        store: Connects the ranks.
        rank: This rank.
        world_size: Number of ranks.
    """

    def __init__(self, store: Store, *, rank: int, world_size: int) -> None:
        self.store = store
        self.rank = rank
        self.world_size = world_size
        self.number = 0

    def publish(self, job: dict[str, Any], *, shared: Path) -> None:
        """Send the next job to the other ranks, and wait until all of them have accepted it.

        Args:
            job: Plain containers that can be encoded as JSON.
            shared: File that the first rank has written and that all ranks have to see.

        Raises:
            UserError: If a rank cannot see the file.
        """
        self._set(json.dumps({"job": job, "shared": str(shared.resolve())}))
        for other in range(1, self.world_size):
            if fault := self.store.get(self._answer(other)).decode():
                raise UserError(f"Rank {other}: {fault}")

    def end(self) -> None:
        """Notify the other ranks that there are no more jobs."""
        self._set(END)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the jobs of the first rank.

        Raises:
            UserError: If this rank cannot see the file of a job.
        """
        while (message := self.store.get(f"job{self.number}").decode()) != END:
            self.number += 1
            content = json.loads(message)
            fault = _wait_for(Path(content["shared"]))
            self.store.set(self._answer(self.rank), fault)
            if fault:
                raise UserError(fault)
            yield content["job"]

    def _answer(self, of_rank: int) -> str:
        return f"job{self.number}.answer{of_rank}"

    def _set(self, value: str) -> None:
        self.store.set(f"job{self.number}", value)
        self.number += 1


def _wait_for(file: Path) -> str:
    """Wait for a file; return an error message if it does not appear, else an empty string."""
    deadline = time.monotonic() + SLOWEST_DISK
    while not file.is_file():
        if time.monotonic() > deadline:
            return (
                f"The run folder {file.parent} is not visible on {platform.node()}. Expected a "
                "disk that all machines share, because all of them read the run's checkpoints: "
                "start torchrun in a folder there. Only the cache may be on a disk of each machine."
            )
        time.sleep(POLL_INTERVAL)
    return ""


def connect() -> Jobs:
    """Connect to the store that torchrun keeps.

    Raises:
        UserError: If a launcher other than torchrun started the ranks.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise UserError(
            "RANK and WORLD_SIZE are set, but not by torchrun, so the ranks cannot agree on a run. "
            "Start them with torchrun, or each with run=FOLDER, or unset both."
        )
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(host, port, is_master=False, timeout=LONGEST_WAIT)
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Jobs(PrefixStore(f"leyden/{restart}", store), rank=rank(), world_size=world_size())


@contextmanager
def lead() -> Iterator[Jobs]:
    """Connect as the first rank, and notify the others at the end of the block that no job follows.

    Raises:
        UserError: If a launcher other than torchrun started the ranks.
    """
    jobs = connect()
    try:
        yield jobs
    finally:
        jobs.end()

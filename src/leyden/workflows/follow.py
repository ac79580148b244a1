"""Ranks that a launcher started before there was a run: the first leads, the others follow.

``torchrun -m leyden train …`` starts every rank with the same words. The first alone composes the
config, sweeps and chooses folders; it hands each job to the others through torchrun's own store.
"""

import json
import os
import platform
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from leyden.config.compose import Config, from_plain, to_plain
from leyden.errors import UserError
from leyden.ranks.environment import rank
from leyden.runs.folder import RunFolder

LONGEST_WAIT = timedelta(days=7)
"""For the next job of a sweep."""

SLOWEST_DISK = 60.0
"""Seconds until a shared disk shows a new file on all machines; NFS caches what is not there."""

END = "end"


class Jobs:
    """The jobs of the first rank, in the order in which all ranks run them."""

    def __init__(self, store: Store, *, rank: int, world_size: int) -> None:
        self.store = store
        self.rank = rank
        self.world_size = world_size
        self.number = 0

    def publish(self, config: Config, folder: RunFolder) -> None:
        """Hand the next job to the other ranks; its folder holds the run's provenance by now.

        Raises:
            UserError: one of them can't take it.
        """
        self._set(json.dumps({"config": to_plain(config), "folder": str(folder.path.resolve())}))
        for other in range(1, self.world_size):
            if fault := self.store.get(self._answer(other)).decode():
                raise UserError(f"Rank {other}: {fault}")

    def end(self) -> None:
        """Let the other ranks go."""
        self._set(END)

    def __iter__(self) -> Iterator[tuple[Config, RunFolder]]:
        while (job := self.store.get(f"job{self.number}").decode()) != END:
            self.number += 1
            content = json.loads(job)
            folder = RunFolder(Path(content["folder"]))
            fault = _unseen(folder)
            self.store.set(self._answer(self.rank), fault)
            if fault:
                raise UserError(fault)
            yield from_plain(content["config"], own=True), folder

    def _answer(self, of_rank: int) -> str:
        return f"job{self.number}.answer{of_rank}"

    def _set(self, value: str) -> None:
        self.store.set(f"job{self.number}", value)
        self.number += 1


def _unseen(folder: RunFolder) -> str:
    """Wait for what the first rank has written into the run folder; say so if it does not come."""
    deadline = time.monotonic() + SLOWEST_DISK
    while not folder.provenance.is_file():
        if time.monotonic() > deadline:
            return (
                f"The run folder {folder.path} is not seen on {platform.node()}. Expected a disk "
                "that all machines share, since all of them read its checkpoints: start torchrun "
                "in a folder there. Only the cache may stand on a disk of each machine's own."
            )
        time.sleep(0.1)
    return ""


def connect() -> Jobs:
    """Connect to the store that torchrun keeps.

    Raises:
        UserError: another launcher started the ranks.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        raise UserError(
            "RANK and WORLD_SIZE are set, but not by torchrun, so that the ranks can't agree on a "
            "run. Start them by torchrun, or each with run=FOLDER, or unset both."
        )
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(host, port, is_master=False, timeout=LONGEST_WAIT)
    restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    shared = PrefixStore(f"leyden/{restart}", store)
    return Jobs(shared, rank=rank(), world_size=int(os.environ["WORLD_SIZE"]))

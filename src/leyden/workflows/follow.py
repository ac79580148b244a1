"""Ranks that a launcher started before there was a run: the first leads, the others follow.

``torchrun -m leyden train …`` starts every rank with the same words. The first alone composes the
config, sweeps and chooses folders; it hands each job to the others through torchrun's own store.
"""

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from leyden.config.compose import Config, from_plain, to_plain
from leyden.errors import UserError
from leyden.runs.folder import RunFolder

LONGEST_WAIT = timedelta(days=7)
"""For the next job of a sweep."""

END = "end"


class Jobs:
    """The jobs of the first rank, in the order in which all ranks run them."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.number = 0

    def publish(self, config: Config, folder: RunFolder) -> None:
        """Hand the next job to the other ranks."""
        self._set(json.dumps({"config": to_plain(config), "folder": str(folder.path.resolve())}))

    def end(self) -> None:
        """Let the other ranks go."""
        self._set(END)

    def __iter__(self) -> Iterator[tuple[Config, RunFolder]]:
        while (job := self.store.get(f"job{self.number}").decode()) != END:
            self.number += 1
            content = json.loads(job)
            folder = Path(content["folder"])
            folder.mkdir(parents=True, exist_ok=True)  # on a machine with a disk of its own
            yield from_plain(content["config"]), RunFolder(folder)

    def _set(self, value: str) -> None:
        self.store.set(f"job{self.number}", value)
        self.number += 1


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
    return Jobs(PrefixStore(f"leyden/{restart}", store))

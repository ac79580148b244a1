"""Several processes for one run.

Every rank starts from the run folder alone: ``leyden train run=FOLDER`` reads the frozen config
that stands there. No rank composes anything anew, so all train the same thing in the same place,
in a sweep too.
"""

import subprocess
import sys

import torch

from leyden.config.compose import Config, save
from leyden.runs.folder import RunFolder
from leyden.runs.ranks import is_launched


def processes(config: Config) -> int:
    """Count the processes that this machine has to start for a config; 1 where it is a rank."""
    trainer = config.trainer
    if is_launched() or trainer.strategy == "auto":
        return 1
    if isinstance(trainer.devices, int) and trainer.devices > 0:
        return int(trainer.devices)
    if trainer.devices in ("auto", -1, "-1"):
        return max(torch.cuda.device_count(), 1)
    return len(trainer.devices)


def launch(config: Config, folder: RunFolder, count: int) -> None:
    """Run all ranks by torchrun and wait for them; when one dies, it ends the others.

    Raises:
        ChildProcessError: a rank failed; what it said stands above and in the run's log.
    """
    save(config, folder.config)
    ranks = ["-m", "leyden", "train", f"run={folder.path}"]
    runner = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    done = subprocess.run([sys.executable, *runner, *ranks], check=False)  # noqa: S603
    if done.returncode:
        raise ChildProcessError(
            f"One of the {count} processes failed, and so the run ended. Look for the first error "
            f"above and in {folder.log.parent}."
        )

"""Kill a run again and again until it ends, and compare it with one that nobody touched.

    python tests/workflows/crashes.py FOLDER KILLS RANKS SEED [KEY=VALUE …]

A process that has imported torch forks every attempt, for starting Python anew takes seconds. An
attempt kills itself, by a real SIGKILL, at a step or at an access to a file of its run folder: the
how manieth is drawn from the seed.
"""

import json
import logging
import os
import random
import signal
import sys
import warnings
from pathlib import Path

import lightning.pytorch.loggers  # noqa: F401  # imported before the forks
import torch
import torch.utils.tensorboard

from leyden.checkpoints.io import load_checkpoint
from leyden.cli.logs import tame_lightning
from leyden.config.check import check
from leyden.config.compose import compose, freeze
from leyden.runs.folder import RunFolder
from leyden.tasks.base import Task
from leyden.workflows.train import train

COMPARED = (
    "epoch",
    "global_step",
    "state_dict",
    "optimizer_states",
    "lr_schedulers",
    "callbacks",
    "resume",
    "current_model_state",
    "averaging_state",
)

FILE_EVENTS = ("open", "os.rename", "os.link", "os.remove")

MOST_EVENTS = 60
"""The latest event of an attempt that kills it; about ten come before the first step."""


def main(folder, kills, ranks, seed, *overrides):
    folder, kills, ranks = Path(folder), int(kills), int(ranks)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    config = freeze(compose(overrides))
    check(config)
    whole, crashed = RunFolder(folder / "whole"), RunFolder(folder / "crashed")
    assert attempt(config, whole, ranks) == [0] * ranks, log_of(whole)
    draw = random.Random(int(seed))
    for kill in range(kills):
        victim, event = draw.randrange(ranks), draw.randint(1, MOST_EVENTS)
        codes = attempt(config, crashed, ranks, victim=victim, kill_at=event)
        if codes == [0] * ranks:
            raise SystemExit(f"the run ended after {kill} of {kills} kills: make it longer")
        # Another rank may notice that the victim is gone before it is killed itself.
        assert codes[victim] == -signal.SIGKILL, log_of(crashed)
        assert set(codes) <= {-signal.SIGKILL, 1}, log_of(crashed)
    assert attempt(config, crashed, ranks) == [0] * ranks, log_of(crashed)
    report = {"kills": kills, "differences": differences(whole, crashed)}
    sys.stdout.write(json.dumps(report) + "\n")


def attempt(config, folder, ranks, victim=0, kill_at=None):
    """Run all ranks until they end; a rank that dies takes the others along, as torchrun does."""
    folder.path.mkdir(parents=True, exist_ok=True)
    port = str(random.SystemRandom().randint(20000, 60000))
    children = {}
    for rank in range(ranks):
        if (pid := os.fork()) == 0:
            if ranks > 1:
                places = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks}
                places |= {"LOCAL_WORLD_SIZE": ranks, "MASTER_PORT": port}
                os.environ |= {name: str(place) for name, place in places.items()}
                os.environ |= {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "crashes"}
            run_and_exit(config, folder, kill_at if rank == victim else None)
        children[pid] = rank
    codes = [0] * ranks
    while children:
        pid, status = os.wait()
        codes[children.pop(pid)] = os.waitstatus_to_exitcode(status)
        if any(codes):
            for other in children:
                os.kill(other, signal.SIGKILL)
    return codes


def run_and_exit(config, folder, kill_at):
    code = 1
    try:
        logging.basicConfig(filename=folder.log, level=logging.INFO, force=True)
        tame_lightning()
        if kill_at is not None:
            die_at(kill_at, folder)
        train(config, folder)
        code = 0
    except BaseException:
        logging.getLogger().exception("the attempt failed")
    finally:
        os._exit(code)


def die_at(event, folder):
    seen = 0
    step = Task.training_step

    def count(*_):
        nonlocal seen
        seen += 1
        if seen == event:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted_step(self, batch, batch_idx):
        count()
        return step(self, batch, batch_idx)

    def audit(name, arguments):
        if name in FILE_EVENTS and str(arguments[0]).startswith(str(folder.path)):
            count()

    Task.training_step = counted_step
    sys.addaudithook(audit)


def differences(whole, crashed):
    """Name what the two runs do not share to the bit."""
    first, second = (load_checkpoint(each.last) for each in (whole, crashed))
    found = [name for name in COMPARED if not equal(first.get(name), second.get(name))]
    found += [
        name
        for name in ("metrics.csv", "metrics.json")
        if (whole.path / name).read_bytes() != (crashed.path / name).read_bytes()
    ]
    best = (load_checkpoint(each.best)["state_dict"] for each in (whole, crashed))
    return found if equal(*best) else [*found, "best.ckpt"]


def equal(first, second):
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        same_keys = first.keys() == second.keys()
        return same_keys and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def log_of(folder):
    return "\n".join(path.read_text()[-3000:] for path in folder.path.glob("train*.log"))


if __name__ == "__main__":
    main(*sys.argv[1:])

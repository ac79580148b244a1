"""Kill a cross-validation repeatedly, let it finish, and compare it with an uninterrupted one.

    python tests/workflows/crossval_crashes.py FOLDER KILLS SEED [KEY=VALUE …]

Like ``crashes.py``: a process that has imported torch forks every attempt, which kills itself with
a real SIGKILL at an event whose number is drawn from the seed. An event is a training step or an
access to a file. A third of the kills count accesses outside the folders of the folds alone, most
of which come after all training: predictions and the ensemble are being written.
"""

import json
import logging
import os
import random
import signal
import sys
from pathlib import Path

import lightning.pytorch.loggers  # noqa: F401  # imported before the forks
import torch
from crashes import FILE_EVENTS, equal

import leyden.workflows.crossval
from leyden.checkpoints.io import load_checkpoint
from leyden.cli.main import main as leyden
from leyden.runs.folder import RunFolder
from leyden.tasks.base import Task

RESULTS = ("oof.csv", "folds.csv", "metrics.json", "intervals.json")


def main(folder, kills, seed, *words):
    folder, kills = Path(folder), int(kills)
    os.chdir(folder)
    torch.set_num_threads(1)
    whole, crashed = RunFolder(folder / "whole"), RunFolder(folder / "crashed")
    assert attempt(whole, words) == 0, log_of(whole)
    counts = json.loads((folder / "events.json").read_text())
    draw, finished = random.Random(int(seed)), {}
    for kill in range(kills):
        at_the_end = kill >= kills - kills // 3
        most = counts["outside"] if at_the_end else 2 * counts["all"] // kills
        code = attempt(crashed, words, kill_at=draw.randint(1, most), outside=at_the_end)
        if code == 0:
            raise SystemExit(f"it ended after {kill} of {kills} kills: make it longer")
        assert code == -signal.SIGKILL, log_of(crashed)
        check_untouched(crashed, finished)
    assert attempt(crashed, words) == 0, log_of(crashed)
    check_untouched(crashed, finished)
    differences = [
        name
        for name in RESULTS
        if (whole.path / name).read_bytes() != (crashed.path / name).read_bytes()
    ]
    members = (load_checkpoint(each.best)["leyden"]["members"] for each in (whole, crashed))
    differences += [] if equal(*members) else ["best.ckpt"]
    report = {"kills": kills, "differences": differences, "finished_before": len(finished)}
    sys.stdout.write(json.dumps(report) + "\n")


def check_untouched(crashed, finished):
    """Check that no run was trained after it had finished, and note those that have finished."""
    for fold in sorted(crashed.path.glob("fold-*")):
        run = RunFolder(fold)
        if run.read_status().get("state") != "finished":
            assert fold.name not in finished, f"{fold.name} is not finished any more"
            continue
        files = (run.last, run.best, run.metrics, run.status, run.log)
        state = [(file.stat().st_ino, file.stat().st_mtime_ns) for file in files]
        assert finished.setdefault(fold.name, state) == state, f"{fold.name} was trained again"


def attempt(folder, words, kill_at=None, *, outside=False):
    if (pid := os.fork()) == 0:
        run_and_exit(folder, words, kill_at, outside)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def run_and_exit(folder, words, kill_at, outside):
    code = 1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        seen = count_events(folder, kill_at, outside=outside)
        code = leyden(["crossval", f"hydra.run.dir={folder.path}", *words])
        if code == 0 and kill_at is None:
            (folder.path.parent / "events.json").write_text(json.dumps(seen))
    except BaseException:
        logging.getLogger().exception("the attempt failed")
    finally:
        os._exit(code)


def count_events(folder, kill_at, *, outside):
    """Count events from here on, and kill this process at one of them."""
    seen = {"all": 0, "outside": 0}
    step = Task.training_step

    def count(kind):
        seen[kind] += 1
        if kind == ("outside" if outside else "all") and seen[kind] == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted_step(self, batch, batch_idx):
        count("all")
        return step(self, batch, batch_idx)

    def audit(name, arguments):
        path = str(arguments[0]) if name in FILE_EVENTS else ""
        if path.startswith(str(folder.path)):
            count("all")
            if not path.removeprefix(str(folder.path)).startswith("/fold-"):
                count("outside")

    Task.training_step = counted_step
    sys.addaudithook(audit)
    return seen


def log_of(folder):
    return "\n".join(path.read_text()[-3000:] for path in folder.path.rglob("train*.log"))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Runs that are stopped from outside: real signals to real processes."""

import csv
import json
import signal
import subprocess
import sys
import time

import pytest
import torch

pytestmark = pytest.mark.slow

QUICK = ("network=linear", "callbacks.early_stopping=null", "trainer.max_epochs=2000")


def started(*words, cwd):
    """Start a run and wait until it has written its first epoch."""
    process = subprocess.Popen(
        [sys.executable, "-m", "leyden", "train", *QUICK, *words],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if files := list(cwd.glob("runs/*/*/metrics.csv")):
            return process, files[0].parent
        time.sleep(0.02)
    raise AssertionError(process.communicate()[1])


def checkpoint(run):
    return torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)


def last_step(run):
    return checkpoint(run)["global_step"]


def rows(run):
    with (run / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 75), (signal.SIGUSR1, 75), (signal.SIGINT, 130)]
)
def test_a_signal_ends_a_run_after_its_step(tmp_path, number, code):
    process, run = started(cwd=tmp_path)

    process.send_signal(number)
    _, err = process.communicate(timeout=60)

    assert process.returncode == code, err
    assert f"stopped by {number.name}" in err
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "interrupted"
    assert number.name in status["error"]
    assert last_step(run) >= int(rows(run)[-1]["step"])


SLOW_STEP = """
import sys, time
from pathlib import Path
from leyden.cli.main import main
from leyden.tasks.base import Task

def step(self, batch, batch_idx):
    Path("began").touch()
    time.sleep(100)

Task.training_step = step
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def in_a_slow_step(tmp_path):
    """Start a run whose first step takes very long."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_STEP, "train", *QUICK],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    yield process
    process.kill()
    process.communicate()


def test_a_second_interrupt_does_not_wait_for_the_step(in_a_slow_step, tmp_path):
    process = in_a_slow_step
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 130, err
    assert "leyden: interrupted" in err
    (status,) = tmp_path.glob("runs/*/*/status.json")
    assert json.loads(status.read_text())["state"] == "interrupted"


def test_max_time_stops_each_job_and_the_next_one_continues(tmp_path, leyden):
    words = ("train", *QUICK, "trainer.max_time=00:00:00:01", "resume=auto")

    first = leyden(*words)
    (run,) = tmp_path.glob("runs/*/*")
    before = last_step(run)
    second = leyden(*words)

    assert (first.code, second.code) == (75, 75), first.err
    assert "stopped by trainer.max_time" in first.err
    assert last_step(run) > before
    assert [int(row["epoch"]) for row in rows(run)] == list(range(len(rows(run))))


def test_a_run_that_diverges_keeps_its_last_finite_checkpoint(tmp_path, leyden):
    done = leyden("train", *QUICK, "optimizer.lr=1e37", "callbacks.checkpoint.save_every_steps=1")

    (run,) = tmp_path.glob("runs/*/*")
    assert done.code == 2
    assert "The loss is not a finite number in step" in done.err
    assert json.loads((run / "status.json").read_text())["state"] == "failed"
    assert all(value.isfinite().all() for value in checkpoint(run)["state_dict"].values())


def test_a_run_that_rolls_back_ends(leyden):
    rollback = ("callbacks.finite_loss.on_nan=rollback", "callbacks.finite_loss.check_every=5")

    done = leyden("train", *QUICK, *rollback, "optimizer.lr=1e37", "trainer.max_epochs=1")

    assert done.code == 2
    assert done.out.count("resuming without step") == 10

"""Every way to start several ranks, on the CPU: see the table in docs/ranks.md."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from leyden.config.compose import compose, freeze
from leyden.runs.folder import RunFolder
from leyden.workflows import start

pytestmark = pytest.mark.slow

RANKS = (
    "network=linear",
    "trainer=ddp",
    "trainer.accelerator=cpu",
    "trainer.max_epochs=1",
    "callbacks.early_stopping=null",
    "name=ranks",
)
PYTHON = (sys.executable, "-m", "leyden", "train")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run")


def run(*words, cwd):
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    logs = "".join(path.read_text() for path in Path(cwd).rglob("*_log.err"))  # of submitit's jobs
    assert done.returncode == 0, done.stderr + logs


def finished(cwd):
    """Return the folders of all runs, after checking the metrics and logs of their two ranks."""
    folders = sorted(path.parent for path in cwd.glob("runs/**/config.yaml"))
    for folder in folders:
        assert json.loads((folder / "status.json").read_text())["state"] == "finished"
        assert (folder / "train.rank1.log").is_file()
        assert len((folder / "metrics.csv").read_text().splitlines()) == 2
    return folders


def rates(folders):
    texts = [(folder / "config.yaml").read_text() for folder in folders]
    return [re.search(r"  lr: (\S+)", text).group(1) for text in texts]


def test_a_number_of_devices_is_enough(tmp_path):
    words = [word for word in RANKS if word != "trainer=ddp"]

    run(*PYTHON, *words, "trainer.devices=2", cwd=tmp_path)

    (folder,) = finished(tmp_path)
    run(sys.executable, "-m", "leyden", "evaluate", f"run={folder}", cwd=tmp_path)


def test_a_sweep_of_the_console_script(tmp_path):
    script = Path(sys.executable).with_name("leyden")

    run(script, "train", "-m", *RANKS, "optimizer.lr=0.01,0.02", cwd=tmp_path)

    folders = finished(tmp_path)
    assert rates(folders) == ["0.01", "0.02"]
    log = (folders[1] / "train.log").read_text()
    assert "2 ranks x 32 rows x 1 batches = 64 rows; optimizer.lr=0.02 is used as given" in log


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_launcher_of_hydra(tmp_path, launcher):
    run(*PYTHON, "-m", f"hydra/launcher={launcher}", *RANKS, cwd=tmp_path)

    assert len(finished(tmp_path)) == 1


def test_concurrent_jobs_have_a_gpu_each(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    words = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "network=linear", "seed=0,1,2,3")

    run(*PYTHON, "-m", *words, "trainer=cpu", "trainer.max_epochs=1", cwd=tmp_path)

    jobs: dict[str, list[tuple[str, str]]] = {}
    for path in tmp_path.glob("runs/*/*/*/status.json"):
        status = json.loads(path.read_text())
        recorded = json.loads(path.with_name("provenance.json").read_text())
        jobs.setdefault(recorded["hardware"]["visible_gpus"], []).append(
            (status["started"], status["ended"])
        )
    assert set(jobs) == {"0", "1"}
    assert sum(map(len, jobs.values())) == 4
    for times in jobs.values():
        times.sort()
        assert all(one[1] <= other[0] for one, other in pairwise(times))


def test_torchrun_sweeps_once(tmp_path):
    words = (*TORCHRUN, "--standalone", "--nproc-per-node=2", "-m", "leyden", "train", "-m", *RANKS)
    run(*words, "optimizer.lr=0.01,0.02", cwd=tmp_path)

    assert rates(finished(tmp_path)) == ["0.01", "0.02"]


def test_torchrun_with_two_agents_and_a_cache_each(tmp_path):
    agent = (*TORCHRUN, "--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d")
    agent += ("--rdzv-endpoint=127.0.0.1:29517", "--rdzv-id=test", "--local-addr=127.0.0.1")
    words = (*agent, "-m", "leyden", "train", *RANKS, "trainer.devices=1", "trainer.num_nodes=2")
    agents = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        cache = {"LEYDEN_CACHE": str(tmp_path / f"cache of {name}")}
        agents.append(
            subprocess.Popen(
                words, cwd=tmp_path / name, env=os.environ | cache, stderr=subprocess.PIPE
            )
        )

    for process in agents:
        _, err = process.communicate(timeout=200)
        assert process.returncode == 0, err

    places = [tmp_path / name for name in ("one", "other") if (tmp_path / name / "runs").exists()]
    assert [len(finished(place)) for place in places] == [1]
    one, other = (
        {path.name: path.read_bytes() for path in (tmp_path / f"cache of {name}").rglob("*.???")}
        for name in ("one", "other")
    )
    assert one == other
    assert "images.bin" in one


@pytest.fixture
def running(tmp_path):
    """Start a very long run of two ranks; return its process and folder."""
    words = (*PYTHON, *RANKS, "trainer.max_epochs=5000")
    process = subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 120
    while not (found := list(tmp_path.glob("runs/*/*/metrics.csv"))):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    yield process, found[0].parent
    process.kill()
    process.communicate()


def ranks_of(folder):
    """Return the process ids of a run's ranks, by rank."""
    pids = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes().split(b"\0")
            variables = (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if f"run={folder}".encode() in command:
            ranks = [value[5:] for value in variables if value.startswith(b"RANK=")]
            pids |= {int(rank): int(path.name) for rank in ranks}
    return pids


linux = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@linux
def test_a_rank_that_dies_ends_the_run_within_seconds(running):
    process, folder = running
    os.kill(ranks_of(folder)[1], signal.SIGKILL)
    began = time.monotonic()

    _, err = process.communicate(timeout=30)

    assert time.monotonic() - began < 10
    assert process.returncode == 1
    assert "Rank 1 was ended by SIGKILL" in err
    status = json.loads((folder / "status.json").read_text())
    assert status["state"] == "failed"
    assert "Rank 1 was ended by SIGKILL" in status["error"]
    assert not ranks_of(folder)


@linux
def test_no_rank_outlives_the_command(running):
    process, folder = running
    assert set(ranks_of(folder)) == {0, 1}

    process.kill()
    process.wait()
    time.sleep(1)

    assert not ranks_of(folder)


def test_ranks_stop_together(running):
    process, folder = running
    process.send_signal(signal.SIGTERM)

    _, err = process.communicate(timeout=60)

    assert process.returncode == 75, err
    assert json.loads((folder / "status.json").read_text())["state"] == "interrupted"


def test_a_job_reaches_another_rank_as_it_was_started(tmp_path, monkeypatch):
    config = freeze(compose(["name=mine", "trainer=ddp"]))
    folder = RunFolder(tmp_path)
    published = []

    class FirstRank:
        def publish(self, job, *, shared):
            assert shared.is_file()
            published.append(json.loads(json.dumps(job)))

    monkeypatch.setattr("leyden.ranks.launch.launch", lambda *_: None)
    monkeypatch.setattr("leyden.ranks.jobs.connect", lambda: published)

    start.start(config, folder, jobs=FirstRank())

    assert list(start.follow()) == [(config, folder)]

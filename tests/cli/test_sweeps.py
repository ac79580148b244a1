"""Sweeps: how jobs are named, reported, retried, resumed and ranked."""

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from leyden.cli import train
from leyden.cli.hydra_jobs import job_folder
from leyden.errors import InterruptedRunError

QUICK = ("train", "network=linear", "trainer.max_epochs=1", "callbacks.early_stopping=null")


def sweep_folder(folder):
    (sweep,) = (folder / "runs" / "digits").iterdir()
    return sweep


def ranking(sweep):
    with (sweep / "ranking.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def group_ends(number):
    """Whether all processes of a group end within 10 seconds."""
    for _ in range(100):
        try:
            os.killpg(number, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def states(sweep):
    return {
        path.parent.name: json.loads(path.read_text())["state"]
        for path in sweep.glob("*/status.json")
    }


@pytest.fixture
def trained(monkeypatch):
    """Count how often each folder is trained; jobs in ``failures`` fail that often before."""
    counts, failures, start = Counter(), {}, train.start

    def counted(config, folder, **options):
        counts[folder.path.name] += 1
        if failures.get(folder.path.name, 0) >= counts[folder.path.name]:
            raise RuntimeError("out of memory\nin a second line")
        return start(config, folder, **options)

    monkeypatch.setattr(train, "start", counted)
    counted.counts, counted.failures = counts, failures
    return counted


def test_a_ranked_table_and_a_line_for_each_job(leyden, tmp_path):
    done = leyden(*QUICK, "-m", "optimizer.lr=1e-6,0.02", "seed=0,1", "monitor=val/accuracy")

    assert done.code == 0, done.err
    sweep = sweep_folder(tmp_path)
    best, worst = ranking(sweep)
    assert (best["optimizer.lr"], worst["optimizer.lr"]) == ("0.02", "1e-06")
    assert float(best["val/accuracy"]) > float(worst["val/accuracy"])
    assert float(best["val/accuracy low"]) < float(best["val/accuracy"])
    assert (best["finished"], best["failed"]) == ("2", "0")
    lines = done.out.splitlines()
    jobs = [line for line in lines if line.startswith("[")]
    assert len(jobs) == 4
    line = r"\[3/4\] optimizer\.lr=0\.02 seed=0: val/accuracy 0\.\d+, \d+\.\d s"
    assert re.fullmatch(line, jobs[2])
    assert not [line for line in lines if "epoch" in line]
    table = lines[lines.index("") + 1 :]
    assert table[0].split()[:4] == ["optimizer.lr", "runs", "val/accuracy", "95"]
    assert table[1].split()[:3] == ["1", "0.02", "2"]


def test_seeds_repeat_one_config(leyden, tmp_path):
    done = leyden(*QUICK, "seeds=2", "seed=4")

    assert done.code == 0, done.err
    sweep = sweep_folder(tmp_path)
    assert states(sweep) == {"0_seed=4": "finished", "1_seed=5": "finished"}
    values = [
        json.loads((sweep / job / "metrics.json").read_text())["test/accuracy"]
        for job in states(sweep)
    ]
    (row,) = ranking(sweep)
    assert float(row["test/accuracy"]) == pytest.approx(sum(values) / 2)
    line = next(line for line in done.out.splitlines() if line.startswith("test/accuracy"))
    assert re.fullmatch(r"test/accuracy +0\.\d+ +-?\d\.\d+ to \d\.\d+", line)


@pytest.mark.parametrize("word", ["+seed=4", "++seed=4"])
def test_a_seed_that_is_added_is_the_first_too(word, leyden):
    done = leyden(*QUICK, "seeds=2", word, "dry_run=true")

    assert done.out.splitlines() == ["0_seed=4  seed=4", "1_seed=5  seed=5", "2 jobs"]


@pytest.mark.slow
def test_hparams_has_what_differs_and_the_final_metrics(leyden, tmp_path):
    words = ("optimizer.lr=0.01", "data.batch_size=64,32", "loss=cross_entropy,focal")

    assert leyden(*QUICK, "-m", *words).code == 0

    sweep = sweep_folder(tmp_path)
    events = EventAccumulator(str(sweep / "1_data.batch_size=64,loss=focal"))
    events.Reload()
    found = {}
    for summary in events.summary_metadata.values():
        if summary.plugin_data.plugin_name == "hparams":
            plugin = HParamsPluginData.FromString(summary.plugin_data.content)
            found |= dict(plugin.session_start_info.hparams)
    assert set(found) == {"data.batch_size", "loss", "seed"}
    assert found["data.batch_size"].number_value == 64
    assert found["loss"].string_value == "focal"


def test_names_are_safe_short_and_unique():
    odd = job_folder(0, "data.root=/a/../b c,network.channels=[8,16],name='数字*?'")
    long = [job_folder(number, f"name={'数' * 300}") for number in range(2)]

    assert re.fullmatch(r"[\w.,=+-]+", odd)
    assert odd == "0_data.root=-a-..-b-c,network.channels=8,16,name=数字-".rstrip("-")
    assert len(set(long)) == 2
    assert all(len(name.encode()) <= 120 for name in long)
    assert job_folder(7, "") == "7"


@pytest.mark.slow
def test_a_resumed_sweep_stays_in_its_folder(leyden, tmp_path, trained):
    words = (*QUICK, "-m", "optimizer.lr=0.01,0.02", "seed=0,1")
    trained.failures["2_optimizer.lr=0.02,seed=0"] = 1
    assert leyden(*words).code == 2
    before = sweep_folder(tmp_path)

    done = leyden(*words, "resume=auto", "data.cache_dir=elsewhere")

    assert done.code == 0, done.err
    assert sweep_folder(tmp_path) == before
    assert trained.counts == Counter(dict.fromkeys(states(before), 1)) + Counter(
        {"2_optimizer.lr=0.02,seed=0": 1}
    )
    assert [row["finished"] for row in ranking(before)] == ["2", "2"]


@pytest.mark.slow  # three sweeps
@pytest.mark.parametrize("change", ["optimizer.lr=0.01,0.03", "data.batch_size=16", "seed=1"])
def test_another_sweep_has_a_folder_of_its_own(leyden, tmp_path, change):
    words = (*QUICK, "-m", "resume=auto", "optimizer.lr=0.01,0.02")
    assert leyden(*words).code == 0

    assert leyden(*words, change).code == 0

    assert len(list((tmp_path / "runs" / "digits").iterdir())) == 2


@pytest.mark.slow
def test_a_failed_job_is_reported_and_tried_again(leyden, tmp_path, trained):
    trained.failures |= {"0_seed=0": 1, "1_seed=1": 9}

    done = leyden(*QUICK, "-m", "seed=0,1,2", "retries=1")

    assert done.code == 2
    assert trained.counts == {"0_seed=0": 2, "1_seed=1": 2, "2_seed=2": 1}
    sweep = sweep_folder(tmp_path)
    assert states(sweep) == {"0_seed=0": "finished", "1_seed=1": "failed", "2_seed=2": "finished"}
    reported = [line for line in done.out.splitlines() if line.startswith("[")]
    assert len(reported) == 5
    assert "[1/3] seed=0: failed, 1 of 1 retries left: out of memory, 0." in reported[0]
    assert "[2/3] seed=1: failed: out of memory, 0." in reported[3]
    assert "1 of 3 jobs did not finish; 1_seed=1: RuntimeError: out of memory" in done.err
    assert "second line" in (sweep / "1_seed=1" / "train.log").read_text()
    (row,) = ranking(sweep)
    assert (row["finished"], row["failed"]) == ("2", "1")


def test_an_interrupt_stops_the_sweep(leyden, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise InterruptedRunError("stopped by SIGTERM", exit_code=75)

    monkeypatch.setattr(train, "start", stopped)

    done = leyden(*QUICK, "-m", "seed=0,1")

    assert done.code == 75
    assert "with the same command and resume=auto" in done.err
    assert [path.name for path in sweep_folder(tmp_path).glob("*_seed*")] == ["0_seed=0"]


def test_a_dry_run_lists_the_jobs(leyden, tmp_path):
    done = leyden(*QUICK, "seeds=2", "network=mlp,linear", "dry_run=true")

    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        "0_network=mlp,seed=0  network=mlp seed=0",
        "1_network=mlp,seed=1  network=mlp seed=1",
        "2_network=linear,seed=0  network=linear seed=0",
        "3_network=linear,seed=1  network=linear seed=1",
        "4 jobs",
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_values_that_an_experiment_sweeps_are_ranked_too(leyden, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src" / "swept_project").mkdir(parents=True)
    (tmp_path / "src" / "swept_project" / "__init__.py").touch()
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "tuned.yaml").write_text(
        "# @package _global_\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {optimizer.lr: '0.01,0.02'}}}\n"
    )

    done = leyden(*QUICK, "experiment=tuned")

    assert done.code == 0, done.err
    assert states(sweep_folder(tmp_path)) == {
        "0_optimizer.lr=0.01": "finished",
        "1_optimizer.lr=0.02": "finished",
    }
    assert [row["optimizer.lr"] for row in ranking(sweep_folder(tmp_path))] == ["0.02", "0.01"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_jobs_in_other_processes_are_ranked_and_may_fail(launcher, leyden_process, tmp_path):
    words = (*QUICK, "-m", f"hydra/launcher={launcher}", "optimizer.lr=0.01,high")

    done = leyden_process(*words, cwd=tmp_path)

    assert done.code == 2
    assert "1 of 2 jobs did not finish; 1_optimizer.lr=high: optimizer.lr" in done.err
    assert states(sweep_folder(tmp_path)) == {
        "0_optimizer.lr=0.01": "finished",
        "1_optimizer.lr=high": "failed",
    }
    assert "1  0.01" in done.out
    assert re.search(r"\[1/2\] optimizer.lr=0.01: val/loss \d\.\d+, \d+\.\d s", done.out)
    assert done.out.count("[2/2] optimizer.lr=high: failed: optimizer.lr: expected a float") == 1


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_a_signal_stops_the_sweep_and_its_processes(launcher, tmp_path):
    words = [*QUICK, "-m", f"hydra/launcher={launcher}", "trainer.max_epochs=999", "seed=0,1,2"]
    words += ["hydra.launcher.n_jobs=2"] * (launcher == "joblib")
    process = subprocess.Popen(
        [sys.executable, "-m", "leyden", *words],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(tmp_path.glob("runs/*/*/*/metrics.csv")):
        time.sleep(0.05)

    process.terminate()

    assert "stopped by SIGTERM" in process.communicate(timeout=60)[1]
    assert process.returncode == 75
    assert "2_seed=2" not in states(sweep_folder(tmp_path))
    assert group_ends(process.pid)

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from leyden.comparison.folds import write_intervals
from leyden.data.sets.digits import Digits
from leyden.runs.folder import RunFolder

QUICK = (
    "network=mlp",
    "network.hidden_widths=[16]",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "logger=[]",
    "callbacks=[checkpoint]",
)

SIDE_BY_SIDE = ("hydra.run.dir=crossval", "jobs=2")

SWEPT_BY_JOBLIB = (
    *("-m", "hydra.sweep.dir=crossval", "seed=0,1"),
    *("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
)


@pytest.fixture(scope="module")
def shared_crossval(tmp_path_factory, leyden_process):
    """Give the folder of a finished cross-validation, which tests may read but not change."""
    folder = tmp_path_factory.mktemp("shared")
    done = leyden_process("crossval", "folds=3", *QUICK, cwd=folder)
    assert done.code == 0, done.err
    (run,) = (folder / "runs" / "digits").iterdir()
    return run


@pytest.fixture
def own_crossval(shared_crossval, tmp_path):
    """Give a copy of the shared cross-validation that a test may change."""
    return Path(shutil.copytree(shared_crossval, tmp_path / "crossval"))


def test_a_cross_validation_leaves_everything_in_its_folder(shared_crossval):
    names = {path.name for path in shared_crossval.iterdir()}
    runs = {"fold-0", "fold-1", "fold-2", "checkpoints"}
    results = {"folds.csv", "metrics.json", "intervals.json", "oof.csv"}
    records = {"config.yaml", "crossval.json", "status.json", "provenance.json", "train.log"}

    assert shared_crossval.name.endswith("-crossval")
    assert runs | results | records <= names
    assert json.loads((shared_crossval / "crossval.json").read_text())["folds"] == 3
    assert "epoch 1/1" not in (shared_crossval / "train.log").read_text()
    assert "fold-1: test/loss" in (shared_crossval / "train.log").read_text()
    assert "rows: train" in (shared_crossval / "fold-1" / "train.log").read_text()


def test_evaluate_and_predict_accept_its_folder(shared_crossval, leyden, tmp_path):
    (digits,) = Digits(name="digits").read()
    Image.fromarray(digits.arrays["images"][0, 0]).save(tmp_path / "image.png")

    measured = leyden("evaluate", f"run={shared_crossval}")
    predicted = leyden("predict", f"run={shared_crossval}", "input=image.png", "format=jsonl")

    assert set(json.loads(measured.out)) >= {"test/loss", "test/accuracy"}
    assert json.loads(predicted.out)["class"] in "0123456789"


def test_a_finished_one_is_reported_without_training(own_crossval, leyden):
    shutil.rmtree(own_crossval / "fold-0")
    (own_crossval / "intervals.json").unlink()

    done = leyden("crossval", f"run={own_crossval}")

    assert done.code == 0, done.err
    assert "finished before" in done.out
    assert "95 % interval" in done.out
    assert not (own_crossval / "fold-0").exists()
    assert (own_crossval / "intervals.json").exists()


@pytest.mark.parametrize("file", ["folds.csv", "oof.csv"])
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_damaged_results_are_refused_and_written_again(file, kept, own_crossval, leyden):
    path = own_crossval / file
    content = path.read_text()
    path.write_text("".join(content.splitlines(keepends=True)[:kept]))
    if not kept:
        path.unlink()

    done = leyden("crossval", f"run={own_crossval}")

    if kept or file == "folds.csv":  # language models have no oof.csv
        assert done.code == 2
        assert f"{file} is damaged" in done.err
    (own_crossval / "status.json").unlink()
    assert leyden("crossval", f"run={own_crossval}").code == 0
    assert path.read_text() == content


def test_a_fold_without_metrics_is_measured_again(own_crossval, leyden):
    means = json.loads((own_crossval / "metrics.json").read_text())
    (own_crossval / "status.json").unlink()
    (own_crossval / "fold-1" / "metrics.json").write_text("{")

    assert leyden("crossval", f"run={own_crossval}").code == 0

    assert json.loads((own_crossval / "metrics.json").read_text()) == means


def test_an_interrupted_one_is_continued_by_the_same_command(own_crossval, leyden, tmp_path):
    folder = tmp_path / "runs" / "digits" / "2026-01-01-crossval"
    folder.parent.mkdir(parents=True)
    shutil.move(own_crossval, folder)
    (folder / "status.json").write_text('{"state": "running"}')
    (folder / "fold-1" / "status.json").write_text('{"state": "running"}')
    before = (folder / "oof.csv").read_text()
    (folder / "oof.csv").unlink()

    done = leyden("crossval", "folds=3", *QUICK, "resume=auto")

    assert done.code == 0, done.err
    assert "2 of 3 runs have finished before" in done.out
    assert list(folder.parent.iterdir()) == [folder]
    assert (folder / "oof.csv").read_text() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["crossval", "folds=1"], "folds=1: expected an integer from 2"),
        (["crossval", "jobs=two"], "jobs=two: expected an integer"),
        (["crossval", "fold=3"], "Did you mean 'folds'"),
        (["crossval", "run={run}", "optimizer.lr=1"], "continued with the config that it has"),
        (["crossval", "run={run}", "repeats=2"], "cannot be changed"),
        (["crossval", "run={run}/fold-0"], "leyden train run="),
        (["train", "run={run}"], "leyden crossval run="),
        (["train", "run={run}", "--rerun"], "leyden crossval run="),
        (["crossval", "hydra.run.dir={run}", "folds=2", *QUICK], "holds a run of another config"),
        (["crossval", "hydra.run.dir={run}", "folds=3", "repeats=2", *QUICK], "of 1 repeats"),
        (["crossval", "hydra.run.dir={run}/fold-0", *QUICK], "not a cross-validation"),
        (["crossval", "optimizer.lr=-1", *QUICK], "optimizer"),
    ],
)
def test_what_is_refused(words, message, shared_crossval, leyden):
    done = leyden(*(word.format(run=shared_crossval) for word in words))

    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "content", ['{"folds": "many"}', '{"folds": 3, "repeats": 1e18, "jobs": 1}']
)
def test_a_damaged_plan_is_a_user_error(content, own_crossval, leyden):
    (own_crossval / "crossval.json").write_text(content)

    done = leyden("crossval", f"run={own_crossval}")

    assert done.code == 2
    assert "crossval.json is damaged" in done.err


def test_intervals_contain_the_mean_and_are_wider_than_without_correction(shared_crossval):
    with (shared_crossval / "folds.csv").open() as stream:
        values = [float(row["test/accuracy"]) for row in csv.DictReader(stream)]

    estimate = write_intervals(RunFolder(shared_crossval))["test/accuracy"]

    assert estimate.mean == pytest.approx(sum(values) / 3)
    t, correction = 4.3027, 1 / 2  # of two degrees of freedom; test rows per training row
    error = estimate.deviation * (1 / 3 + correction) ** 0.5
    assert estimate.high - estimate.mean == pytest.approx(t * error, rel=0.1)


@pytest.mark.slow
def test_a_sweep_cross_validates_every_point(leyden, tmp_path):
    done = leyden("crossval", "-m", "optimizer.lr=0.001,0.01", "folds=2", *QUICK)

    assert done.code == 0, done.err
    jobs = [file.parent for file in tmp_path.glob("runs/digits/*-sweep/*/crossval.json")]
    assert len(jobs) == 2
    ranking = (jobs[0].parent / "ranking.csv").read_text()
    assert "test/loss" in ranking
    assert "test/loss" in done.out
    for job in jobs:
        assert {"fold-0", "fold-1", "oof.csv"} <= {path.name for path in job.iterdir()}
        assert '"optimizer.lr": 0.0' in (job / "fold-1" / "job.json").read_text()


@pytest.mark.slow
def test_folds_side_by_side_predict_as_one_after_the_other(
    shared_crossval, leyden_process, tmp_path
):
    done = leyden_process("crossval", "folds=3", "jobs=2", *QUICK, cwd=tmp_path)

    assert done.code == 0, done.err
    assert done.err == ""
    (run,) = (tmp_path / "runs" / "digits").iterdir()
    assert (run / "oof.csv").read_text() == (shared_crossval / "oof.csv").read_text()
    assert "rows: train" in (run / "fold-1" / "train.log").read_text()
    assert "epoch 1/1" not in done.out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("words", [SIDE_BY_SIDE, SWEPT_BY_JOBLIB])
def test_folds_end_with_the_process_that_started_them(words, number, tmp_path):
    words = [*words, *QUICK, "callbacks=[default]", "folds=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "leyden", "crossval", *words, "trainer.max_epochs=2000"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while len(list(tmp_path.glob("crossval/**/fold-*/metrics.csv"))) < 2:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(number)
    process.wait()
    time.sleep(1)
    lengths = [file.stat().st_size for file in tmp_path.glob("crossval/**/fold-*/metrics.csv")]
    time.sleep(1)

    assert lengths == [
        file.stat().st_size for file in tmp_path.glob("crossval/**/fold-*/metrics.csv")
    ]
    for fold in tmp_path.glob("crossval/**/fold-*"):
        with RunFolder(fold).held():  # no process trains there
            pass
    if number == signal.SIGTERM:
        assert process.returncode == 75
        states = [
            RunFolder(file.parent).read_status()["state"]
            for file in tmp_path.rglob("crossval.json")
        ]
        assert words[0] == "-m" or states == ["interrupted"]


@pytest.mark.slow
def test_an_error_of_a_fold_in_another_process_is_one_paragraph(leyden_process, tmp_path):
    done = leyden_process("crossval", "jobs=2", "optimizer.lr=-1", *QUICK, cwd=tmp_path)

    assert done.code == 2
    assert done.err.startswith("leyden: optimizer")
    assert done.err.count("\n") == 1

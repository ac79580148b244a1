"""A run from start to prediction, as a user sees it."""

import csv
import json
import os
import subprocess
import sys
import time

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from leyden.data.sets.digits import Digits

QUICK = ("network=linear", "callbacks.early_stopping=null")


def history(run):
    with (run / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


def weights(run):
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint["state_dict"]


def started(*words, cwd, epochs):
    """Start a run and wait until it has written some epochs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "leyden", "train", *words],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        files = list(cwd.glob("runs/*/*/metrics.csv"))
        if files and len(files[0].read_text().splitlines()) > epochs:
            return process, files[0].parent
        time.sleep(0.02)
    raise AssertionError("the run wrote no history in time")


def test_a_run_leaves_everything_in_its_folder(shared_run):
    names = {path.name for path in shared_run.iterdir()}
    expected = {"config.yaml", "metrics.json", "metrics.csv", "status.json", "cleaning.json"}
    assert expected | {"train.log", "checkpoints"} <= names
    status = json.loads((shared_run / "status.json").read_text())
    assert status["state"] == "finished"
    assert status["rows"] == {"train": 1282, "val": 149, "test": 366}
    assert status["parameters"] == 650  # 64 pixels and a bias for each of 10 digits
    assert status["peak_memory"]["main"] > 2**26  # torch alone takes more
    assert [row["epoch"] for row in history(shared_run)] == ["0", "1"]
    last = torch.load(shared_run / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 1
    assert last["leyden"]["class_names"] == [str(digit) for digit in range(10)]
    for fingerprint in ("data_fingerprint", "split_fingerprint"):
        assert status[fingerprint] == last["leyden"][fingerprint]


def test_tensorboard_shows_scalars(shared_run):
    events = EventAccumulator(str(shared_run))
    events.Reload()
    assert {"train/loss", "val/loss", "val/accuracy"} <= set(events.Tags()["scalars"])


def test_evaluate_gives_the_metrics_of_the_run(shared_run, leyden):
    recorded = json.loads((shared_run / "metrics.json").read_text())

    done = leyden("evaluate", f"run={shared_run}")

    assert done.code == 0
    measured = json.loads(done.out)
    assert measured == pytest.approx({name: recorded[name] for name in measured})


def test_predict_names_a_class_for_every_file(shared_run, leyden, tmp_path):
    (digits,) = Digits(name="digits").read()
    Image.fromarray(digits.arrays["images"][0, 0]).save(tmp_path / "zero.png")

    done = leyden("predict", f"run={shared_run}", f"input={tmp_path}/zero.png", "format=jsonl")

    row = json.loads(done.out)
    assert row["file"].endswith("zero.png")
    assert row["class"] in "0123456789"
    assert 0.1 <= row["probability"] <= 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("evaluate", "run=nowhere"), "does not exist"),
        (("predict", "run={run}", "input=nowhere.png"), "does not exist"),
        (("predict", "run={run}", "input={run}/config.yaml"), "can't be read: not an image"),
        (("evaluate", "run={run}", "network.width=3"), "unknown key"),
    ],
)
def test_wrong_paths_are_user_errors(shared_run, leyden, words, message):
    done = leyden(*(word.format(run=shared_run) for word in words))

    assert done.code == 2
    assert message in done.err


def test_a_truncated_checkpoint_is_refused(own_run, leyden):
    best = own_run / "checkpoints" / "best.ckpt"
    best.write_bytes(best.read_bytes()[:2000])

    done = leyden("evaluate", f"run={own_run}")

    assert done.code == 2
    assert "damaged" in done.err


def without(content, *path):
    *groups, key = path
    for group in groups:
        content = content[group]
    del content[key]


def with_value(content, value, *path):
    *groups, key = path
    for group in groups:
        content = content[group]
    content[key] = value


TENSOR = torch.zeros(2)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    "change",
    [
        lambda content: with_value(content, {}, "leyden"),
        lambda content: with_value(content, [1], "leyden"),
        lambda content: without(content, "state_dict"),
        lambda content: with_value(content, [TENSOR], "state_dict"),
        lambda content: with_value(content, {3: "x"}, "state_dict"),
        lambda content: with_value(content, {}, "leyden", "data"),
        lambda content: with_value(content, TENSOR, "leyden", "data"),
        lambda content: with_value(content, TENSOR, "leyden", "config"),
        lambda content: with_value(content, {}, "leyden", "config"),
        lambda content: with_value(content, {5: 6}, "leyden", "config"),
        lambda content: with_value(content, TENSOR, "leyden", "config", "name"),
        lambda content: with_value(content, b"x", "leyden", "config", "data", "name"),
        lambda content: with_value(content, None, "leyden", "config", "trainer"),
        lambda content: with_value(content, {"a": 1}, "leyden", "config", "trainer", "devices"),
        lambda content: without(content, "leyden", "config", "task", "_partial_"),
        lambda content: with_value(content, {}, "leyden", "config", "task", "network"),
        lambda content: with_value(content, 3, "leyden", "data", "class_names"),
        lambda content: with_value(content, [1, 2], "leyden", "data", "class_names"),
        lambda content: with_value(content, [TENSOR], "leyden", "data", "class_names"),
        lambda content: with_value(content, "x", "leyden", "data", "statistics"),
        lambda content: with_value(content, {}, "leyden", "data", "statistics"),
        lambda content: with_value(content, {"mean": "x"}, "leyden", "data", "statistics"),
        lambda content: with_value(content, torch.zeros(7), "leyden", "data", "statistics", "mean"),
        lambda content: with_value(content, "x", "leyden", "data", "target_counts"),
        lambda content: with_value(content, "x", "global_step"),
        lambda content: with_value(content, 3, "callbacks"),
    ],
)
def test_a_checkpoint_with_other_content_is_refused(command, change, own_run, leyden):
    best = own_run / "checkpoints" / "best.ckpt"
    content = torch.load(best, weights_only=True)
    change(content)
    torch.save(content, best)

    done = leyden(command, f"run={own_run}", *(["input=x.png"] if command == "predict" else []))

    assert done.code == 2, done.err
    assert done.err.count("\n") == 1, done.err
    assert len(done.err) < 700


@pytest.mark.parametrize(
    "change",
    [
        lambda content: without(content, "global_step"),
        lambda content: without(content, "loops"),
        lambda content: with_value(content, "x", "epoch"),
        lambda content: with_value(content, {}, "optimizer_states"),
    ],
)
def test_a_run_is_not_continued_from_other_content(change, own_run, leyden):
    last = own_run / "checkpoints" / "last.ckpt"
    (own_run / "checkpoints" / "previous.ckpt").unlink(missing_ok=True)
    content = torch.load(last, weights_only=True)
    change(content)
    torch.save(content, last)

    done = leyden("train", f"run={own_run}", "trainer.max_epochs=3")

    assert done.code == 2, done.err
    assert "last.ckpt is damaged" in done.err


def test_a_checkpoint_that_holds_code_is_refused_unexecuted(tmp_path, leyden):
    class Attack:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/executed",)

    torch.save({"leyden": Attack()}, tmp_path / "bad.ckpt")

    done = leyden("evaluate", f"run={tmp_path}/bad.ckpt")

    assert done.code == 2
    assert "refused" in done.err
    assert not (tmp_path / "executed").exists()


@pytest.mark.slow
def test_a_killed_run_ends_with_the_weights_of_an_uninterrupted_one(leyden_process, tmp_path):
    words = (*QUICK, "trainer.max_epochs=30", "name=killed")
    process, run = started(*words, cwd=tmp_path, epochs=2)
    process.kill()
    process.wait()
    assert len(history(run)) < 30

    done = leyden_process("train", *words, "resume=auto", cwd=tmp_path)

    assert done.code == 0, done.err
    assert list((tmp_path / "runs" / "killed").iterdir()) == [run]
    assert [int(row["epoch"]) for row in history(run)] == list(range(30))
    whole = tmp_path / "whole"
    whole.mkdir()
    assert leyden_process("train", *words, cwd=whole).code == 0
    (uninterrupted,) = (whole / "runs" / "killed").iterdir()
    resumed = weights(run)
    for name, value in weights(uninterrupted).items():
        assert torch.equal(value, resumed[name]), name
    assert history(run) == history(uninterrupted)


@pytest.mark.slow
def test_seed_zero_is_a_seed(leyden, tmp_path):
    quick = (*QUICK, "trainer.max_epochs=1")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert leyden("train", *quick, f"seed={seed}", f"name={name}").code == 0
    a, b, c = (weights(next((tmp_path / "runs" / name).iterdir())) for name in "abc")
    key = "network.output_layer.weight"
    assert torch.equal(a[key], b[key])
    assert not torch.equal(a[key], c[key])


@pytest.mark.slow
def test_each_job_of_a_sweep_has_a_folder(leyden, tmp_path):
    done = leyden("train", "-m", *QUICK, "trainer.max_epochs=1", "optimizer.lr=0.01,0.001")

    assert done.code == 0
    (sweep,) = (tmp_path / "runs" / "digits").iterdir()
    jobs = ("0_optimizer.lr=0.01", "1_optimizer.lr=0.001")
    assert {(sweep / job / "metrics.json").is_file() for job in jobs} == {True}


@pytest.mark.parametrize(
    "words",
    [
        ("callbacks=[default,ema]",),
        ("callbacks=[default,swa]", "trainer.max_epochs=3"),
        ("network=cnn", "task/mix=cutmix", "trainer=debug"),
        ("scheduler=plateau", "trainer.gradient_clip_val=1.0"),
        ("optimizer=sgd", "task/mix=mixup", "debug=smoke"),
    ],
)
def test_options_train(leyden, words):
    done = leyden("train", "network=linear", "trainer.max_epochs=1", *words)

    assert done.code == 0, done.err


@pytest.mark.slow
def test_two_ranks_share_one_run(leyden_process, tmp_path):
    ranks = ("trainer=ddp", "trainer.accelerator=cpu", "trainer.max_epochs=1")

    done = leyden_process("train", *QUICK, *ranks, "name=ranks", cwd=tmp_path)

    assert done.code == 0, done.err
    (run,) = (tmp_path / "runs" / "ranks").iterdir()
    assert len(history(run)) == 1
    assert (run / "train.rank1.log").is_file()

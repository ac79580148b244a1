import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from leyden.config.compose import compose, freeze
from leyden.runs.folder import RunFolder
from leyden.serving.formats import FORMATS
from leyden.tasks.classification import Classification
from leyden.workflows.finished import load_run
from leyden.workflows.train import train

WORDS = ["network=mlp", "trainer.max_epochs=6", "optimizer.lr=0.01", "trainer=cpu"]


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("good"))
    metrics = train(freeze(compose(WORDS)), folder)
    assert metrics["test/accuracy"] > 0.9
    return folder.path


@pytest.fixture(scope="module")
def unseen(good_run, tmp_path_factory):
    """Return a folder of the first test rows as PNG files, their class names, and predictions."""
    finished = load_run(str(good_run))
    data, task = finished.data, finished.task.eval()
    data.prepare_data()
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    names = [data.class_names[index] for index in batch.targets.tolist()]
    folder = tmp_path_factory.mktemp("png")
    for index, image in enumerate(batch.inputs["images"]):
        Image.fromarray(image[0].numpy()).save(folder / f"{index:03}.png")
    with torch.inference_mode():
        said = task.predictions(task(data.on_after_batch_transfer(batch, 0).inputs))
    return folder, names, said


def test_most_digits_are_recognised(good_run, unseen, leyden):
    folder, names, _ = unseen

    done = leyden("predict", f"run={good_run}", f"input={folder}")

    assert done.code == 0, done.err
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert list(rows[0]) == ["file", "class", "probability"]
    right = [row["class"] == name for row, name in zip(rows, names, strict=True)]
    assert np.mean(right) > 0.8


def test_predictions_are_those_of_the_training_pipeline(good_run, unseen, leyden):
    folder, _, said = unseen

    done = leyden("predict", f"run={good_run}", f"input={folder}", "format=jsonl")

    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["file"] for row in rows] == sorted(map(str, folder.iterdir()))
    assert [row["class"] for row in rows] == said["class"]
    assert [row["probability"] for row in rows] == pytest.approx(said["probability"], abs=1e-6)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true", "32-true"])
def test_predict_and_evaluate_compute_the_same(precision, good_run, unseen, leyden, monkeypatch):
    measured = []
    update = Classification.update_metrics

    def recorded_update(task, stage, predicted, targets):
        if stage == "test":
            measured.extend(predicted.max(dim=1).values.tolist())
        update(task, stage, predicted, targets)

    monkeypatch.setattr(Classification, "update_metrics", recorded_update)
    word = f"trainer.precision={precision}"

    assert leyden("evaluate", f"run={good_run}", word).code == 0
    done = leyden("predict", f"run={good_run}", f"input={unseen[0]}", "format=jsonl", word)

    predicted = [json.loads(line)["probability"] for line in done.out.splitlines()]
    assert predicted == [round(value, 6) for value in measured[: len(predicted)]]


def test_a_run_that_was_limited_predicts_every_file(good_run, unseen, leyden):
    done = leyden("predict", f"run={good_run}", f"input={unseen[0]}", "+trainer.fast_dev_run=true")

    assert len(done.out.splitlines()) == 1 + len(list(unseen[0].iterdir())), done.err


@pytest.mark.parametrize("word", ["trainer.accelerator=gpu", "trainer.devices=[1]"])
def test_a_run_of_a_gpu_that_is_not_here_predicts_too(word, good_run, unseen, leyden):
    file = next(unseen[0].iterdir())

    done = leyden("predict", f"run={good_run}", f"input={file}", word)

    assert done.code == 0, done.err


@pytest.mark.gpu
def test_gpu_and_cpu_predict_the_same(good_run, unseen, leyden):
    words = ("predict", f"run={good_run}", f"input={unseen[0]}", "format=jsonl")

    gpu, cpu = (leyden(*words, f"trainer.accelerator={kind}") for kind in ("gpu", "cpu"))

    assert (gpu.code, cpu.code) == (0, 0)
    for one, other in zip(gpu.out.splitlines(), cpu.out.splitlines(), strict=True):
        assert json.loads(one) == pytest.approx(json.loads(other), abs=2e-3)


def test_predictions_do_not_depend_on_the_batch(good_run, unseen, leyden):
    files = sorted(unseen[0].iterdir())[:5]
    words = [f"input={files[0]}", *files[1:4], f"input={files[4]}"]

    done = leyden("predict", f"run={good_run}", "data.batch_size=2", *words)

    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert {row["file"] for row in rows} == {str(file) for file in files}
    expected = dict(zip(map(str, files), unseen[2]["class"], strict=False))
    assert {row["file"]: row["class"] for row in rows} == expected


def test_the_rows_of_readable_files_come_before_the_error(good_run, unseen, leyden, tmp_path):
    file = min(unseen[0].iterdir())
    for name in ("empty.png", "none.png"):
        (tmp_path / name).touch()

    done = leyden("predict", f"run={good_run}", "input=empty.png", str(file), "none.png")

    assert done.code == 2
    assert [row["file"] for row in csv.DictReader(io.StringIO(done.out))] == [str(file)]
    assert "empty.png can't be read: empty file, nor can 1 more" in done.err


STRANGE = ("=1+1.png", "-x.png", "a.png", "lr=0.1.png", "run=3.png", "input=b.png", "[a,b].png")


def test_an_existing_path_is_an_input_whatever_its_name(good_run, unseen, leyden, tmp_path):
    for name in STRANGE:
        shutil.copy(min(unseen[0].iterdir()), tmp_path / name)

    done = leyden("predict", f"run={good_run}", *STRANGE, "trainer=cpu")  # as of a glob

    assert done.code == 0, done.err
    files = [row["file"] for row in csv.DictReader(io.StringIO(done.out))]
    assert [file.removeprefix("./") for file in files] == list(STRANGE)
    assert files[:2] == ["./=1+1.png", "./-x.png"]
    assert all((tmp_path / file).is_file() for file in files)
    rows = leyden("predict", f"run={good_run}", *STRANGE, "format=jsonl").out.splitlines()
    assert [json.loads(row)["file"] for row in rows] == list(STRANGE)


def test_file_names_are_escaped(good_run, unseen, leyden, tmp_path):
    shutil.copy(min(unseen[0].iterdir()), tmp_path / "\x1b[2J.png")
    (tmp_path / "\x1b[31m\nbad.png").write_text("no image")

    done = leyden("predict", f"run={good_run}", "input=.")

    assert done.code == 2
    assert "\x1b" not in done.out + done.err
    assert "\\x1b[2J.png" in done.out
    assert done.err.startswith("leyden: \\x1b[31m bad.png can't be read")


@pytest.mark.slow
def test_a_pipe_may_be_read(good_run, unseen, tmp_path):
    image = min(unseen[0].iterdir())
    words = [sys.executable, "-m", "leyden", "predict", f"run={good_run}", "input=/dev/stdin"]

    done = subprocess.run(words, input=image.read_bytes(), cwd=tmp_path, capture_output=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].startswith(b"/dev/stdin,")


def test_probabilities_are_rounded_to_what_float32_holds(good_run, unseen, leyden):
    done = leyden("predict", f"run={good_run}", f"input={unseen[0]}")

    shown = [row["probability"] for row in csv.DictReader(io.StringIO(done.out))]
    assert max(map(len, shown)) <= len("0.123456789")
    assert list(map(float, shown)) == pytest.approx(unseen[2]["probability"], abs=1e-6)


def test_numbers_keep_all_their_digits():
    rows = [{"file": "a.csv row 2", "value": 1600003600.0}]

    assert FORMATS["csv"].encode(rows, texts=["file"]) == b"a.csv row 2,1600003600.0\r\n"


def test_names_of_files_may_hold_bytes_that_are_not_text():
    rows = [{"file": os.fsdecode(b"\xff.png"), "class": "cat"}]

    for form in FORMATS.values():
        assert b"udcff.png" in form.encode(rows, texts=["file"])


@pytest.mark.slow
def test_a_reader_that_closes_the_pipe_is_not_an_error(good_run, tmp_path):
    # Closed before the first row is printed, and so also before the last.
    words = [sys.executable, "-m", "leyden", "predict", f"run={good_run}", "input=a.png"]
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        err = process.stderr.read()

    assert (process.returncode, err) == (0, "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "Nothing to predict"),
        (["input="], "Nothing to predict"),
        (["input=nowhere.png"], "nowhere.png does not exist"),
        (["input=text.png"], "text.png can't be read: "),
        (["input=empty"], "No image found below empty"),
        (["input=text.png", "data.size=3"], "names an unknown key"),
    ],
)
def test_wrong_inputs_are_user_errors(words, expected, good_run, leyden, tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty").mkdir()

    done = leyden("predict", f"run={good_run}", *words)

    assert done.code == 2
    assert expected in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["format=parquet"], "format=parquet is unknown. It is written to output=FILE.parquet."),
        (["format=jsnl"], "Did you mean 'jsonl'"),
        (["output=a.cvs"], "output=a.cvs has no known suffix, such as .csv. Did you mean 'csv'"),
        (
            ["output=a.csv", "format=jsonl"],
            "does not match the suffix of output=a.csv",
        ),
        (["processes=0"], "processes=0: expected an integer from 1"),
        (["top=all"], "top=all: expected an integer from 1"),
        (["columns=age"], "0.png is not a table, so that it has no columns to keep"),
        (["ouput=a.csv"], "Did you mean 'output'"),
    ],
)
def test_wrong_words_are_user_errors(words, expected, good_run, leyden, tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "0.png")

    done = leyden("predict", f"run={good_run}", "0.png", *words)

    assert (done.code, done.out) == (2, "")
    assert expected in done.err


def test_the_rows_of_readable_files_are_written_before_the_error(good_run, unseen, leyden):
    (file, *_) = sorted(unseen[0].iterdir())
    Path("none.png").touch()

    done = leyden("predict", f"run={good_run}", "none.png", file, "output=deep/a.jsonl", "top=2")

    assert done.code == 2
    assert "none.png can't be read: empty file" in done.err
    (row,) = map(json.loads, Path("deep/a.jsonl").read_text().splitlines())
    assert row["file"] == str(file)
    assert row["top"][0] == {"class": row["class"], "probability": row["probability"]}

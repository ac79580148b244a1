import csv
import json
import math
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from leyden.config.compose import compose, freeze
from leyden.runs.folder import RunFolder
from leyden.workflows.train import train


def test_a_process_prints_json_alone(shared_run, leyden_process, tmp_path):
    done = leyden_process("evaluate", f"run={shared_run}", cwd=tmp_path)

    assert done.code == 0, done.err
    recorded = json.loads((shared_run / "metrics.json").read_text())
    measured = json.loads(done.out)
    assert measured == pytest.approx({name: recorded[name] for name in measured})
    assert {name.partition("/")[0] for name in measured} == {"val", "test"}
    assert list(tmp_path.iterdir()) == []


def test_metrics_that_are_undefined_are_null(shared_run, leyden, monkeypatch):
    monkeypatch.setattr("leyden.tasks.metrics.ClassAUROC.compute", lambda _: torch.tensor(math.nan))

    done = leyden("evaluate", f"run={shared_run}")

    measured = json.loads(done.out, parse_constant=pytest.fail)
    assert measured["test/auroc"] is None
    assert measured["test/accuracy"] > 0


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_checkpoint_may_lie_outside_its_run(name, shared_run, leyden, tmp_path):
    # In two epochs whose loss falls, the last is the best.
    shutil.copy(shared_run / "checkpoints" / f"{name}.ckpt", tmp_path / "copied.ckpt")
    recorded = json.loads((shared_run / "metrics.json").read_text())

    done = leyden("evaluate", "run=copied.ckpt")

    assert json.loads(done.out)["test/accuracy"] == pytest.approx(recorded["test/accuracy"])


@pytest.mark.parametrize(
    "override", ["data.batch_size=7", "trainer=cpu", "task/mix=cutmix", "loss=focal"]
)
def test_overrides_change_how_it_is_measured(override, shared_run, leyden):
    recorded = json.loads((shared_run / "metrics.json").read_text())

    done = leyden("evaluate", f"run={shared_run}", override)

    assert done.code == 0, done.err
    measured = json.loads(done.out)
    assert measured["test/accuracy"] == pytest.approx(recorded["test/accuracy"])
    same_loss = measured["test/loss"] == pytest.approx(recorded["test/loss"], rel=1e-5)
    assert same_loss == (override != "loss=focal")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("data.batchsize=7", "Did you mean 'data.batch_size'"),
        ("data.batch_size=seven", "Set by the override data.batch_size=seven"),
        ("data.batch_size=[7", "cannot be parsed"),
        ("trainer=gppu", "Did you mean 'gpu'"),
        ("debug=smoke", "conf/debug/"),
        ("network=cnn", "do not fit the network of the config"),
    ],
)
def test_wrong_overrides_are_user_errors(override, expected, shared_run, leyden):
    done = leyden("evaluate", f"run={shared_run}", override)

    assert done.code == 2
    assert expected in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_data_may_have_moved(leyden, tmp_path):
    random = np.random.default_rng(0)
    for name, brightness in {"dark": 60, "light": 200}.items():
        (tmp_path / "old" / name).mkdir(parents=True)
        for index in range(12):
            pixels = random.integers(brightness - 50, brightness + 50, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "old" / name / f"{index}.png")
    words = ["data=image_folder", "data.root=old", "data.image_size=[8,8]", "data.channels=1"]
    words += ["network=linear", "trainer.max_epochs=1", "data.batch_size=8", "trainer=cpu"]
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    metrics = train(freeze(compose(words)), folder)
    (tmp_path / "old").rename(tmp_path / "new")

    lost = leyden("evaluate", f"run={folder.path}")
    found = leyden("evaluate", f"run={folder.path}", "data.root=new")

    assert lost.code == 2
    assert f"data.root={tmp_path / 'old'} is not a folder" in lost.err
    measured = json.loads(found.out)
    assert measured == pytest.approx({name: metrics[name] for name in measured})


@pytest.fixture
def pictures(tmp_path):
    """Make a function that draws bright and dark images below a folder."""
    random = np.random.default_rng(0)

    def draw(folder, names, *, brightness=(60, 200)):
        for name, light in zip(("dark", "light"), brightness, strict=True):
            (tmp_path / folder / name).mkdir(parents=True, exist_ok=True)
            for number in names:
                pixels = random.integers(light - 50, light + 50, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / name / f"{number}.png")

    return draw


@pytest.fixture
def picture_run(pictures, tmp_path):
    pictures("own", range(20))
    words = ["data=image_folder", "data.root=own", "data.image_size=[8,8]", "data.channels=1"]
    words += ["network=linear", "trainer.max_epochs=3", "data.batch_size=8", "trainer=cpu"]
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        train(freeze(compose(words)), folder)
    return folder.path


def test_changed_data_are_refused(picture_run, pictures, leyden):
    pictures("own", [20])

    refused = leyden("evaluate", f"run={picture_run}")
    allowed = leyden("evaluate", f"run={picture_run}", "changed_data=allow")

    assert refused.code == 2
    assert "The data have changed since the run was trained on them" in refused.err
    assert "one test split with data.root=PATH; or" in refused.err  # ImageFolder has no data.path
    assert "changed_data=allow" in refused.err
    assert allowed.code == 0, allowed.err


@pytest.mark.parametrize(
    "override", ["data.splitter.seed=1", "data/splitter=kfold", "data.splitter.test_fraction=0.3"]
)
def test_another_split_of_the_same_data_is_refused(override, picture_run, leyden):
    done = leyden("evaluate", f"run={picture_run}", override)

    assert done.code == 2
    assert "The splits of the data have changed" in done.err


def test_all_rows_of_other_data_are_one_test_split(picture_run, pictures, leyden):
    pictures("other", range(100, 103), brightness=(200, 60))  # the wrong way round

    done = leyden("evaluate", f"run={picture_run}", "data.root=other")

    assert done.code == 0, done.err
    measured = json.loads(done.out)
    assert {name.partition("/")[0] for name in measured} == {"test"}
    assert measured["test/accuracy"] == 0
    assert "dark   3     0.000" in done.err
    assert not (picture_run / "classes.csv").exists()  # of other rows than the run's


def test_other_data_may_lack_a_class_and_repeat_rows(picture_run, pictures, leyden, tmp_path):
    pictures("other", range(100, 104))
    shutil.rmtree(tmp_path / "other/light")
    (tmp_path / "other/light").mkdir()
    for copy in "abcd":
        shutil.copy(tmp_path / "own/light/0.png", tmp_path / f"other/light/{copy}.png")

    done = leyden("evaluate", f"run={picture_run}", "data.root=other")

    assert done.code == 0, done.err


def test_a_checkpoint_of_an_earlier_version_is_refused_as_one(shared_run, leyden, tmp_path):
    content = torch.load(shared_run / "checkpoints/best.ckpt", weights_only=True)
    del content["leyden"]["split_fingerprint"]
    torch.save(content, tmp_path / "old.ckpt")

    done = leyden("evaluate", "run=old.ckpt")

    assert done.code == 2
    assert "earlier version of Leyden" in done.err


def rows(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_figures_of_each_class_are_printed_and_written(own_run, leyden):
    done = leyden("evaluate", f"run={own_run}")

    assert done.code == 0, done.err
    _, _, table = done.err.partition("classes of the test split:\n")
    assert [line.split()[0] for line in table.splitlines()] == ["class", *"0123456789"]
    measured, classes = json.loads(done.out), rows(own_run / "classes.csv")
    for split in ("val", "test"):
        f1 = [float(row["f1"]) for row in classes if row["split"] == split]
        assert sum(f1) / 10 == pytest.approx(measured[f"{split}/f1"], abs=1e-5)
    confusion = [row for row in rows(own_run / "confusion.csv") if row["split"] == "test"]
    hits = sum(int(row[row["target"]]) for row in confusion)
    assert hits / 366 == pytest.approx(measured["test/accuracy"])
    support = [int(row["support"]) for row in classes if row["split"] == "test"]
    assert [sum(int(row[name]) for name in "0123456789") for row in confusion] == support


@pytest.mark.slow  # trains
def test_figures_of_labels(leyden, tmp_path):
    lines = [f"{n * 7 % 40},{int(n * 7 % 40 > 20)},{n % 2},{n % 2}" for n in range(80)]
    (tmp_path / "own.csv").write_text("\n".join(["a,high,odd,b", *lines]))
    words = ("data=table", "data.path=own.csv", "data.target=[high,odd]", "task=multilabel")
    words += ("network=table_mlp", "trainer.max_epochs=1", "logger=null", "trainer=cpu")
    assert leyden("train", *words).code == 0
    (run,) = tmp_path.glob("runs/own/*")

    done = leyden("evaluate", f"run={run}")

    assert done.code == 0, done.err
    found = {(row["split"], row["class"]): row for row in rows(run / "classes.csv")}
    assert set(found) == {(split, label) for split in ("val", "test") for label in ("high", "odd")}
    f1 = [float(found["test", label]["f1"] or "nan") for label in ("high", "odd")]
    assert np.nanmean(f1) == pytest.approx(json.loads(done.out)["test/f1"], abs=1e-5)
    assert not (run / "confusion.csv").exists()  # labels do not exclude each other


@pytest.mark.slow  # trains
def test_a_run_of_numbers_has_no_classes(leyden, tmp_path):
    (tmp_path / "own.csv").write_text(
        "\n".join(["a,b", *(f"{n * 7 % 40},{n}.5" for n in range(60))])
    )
    words = ("data=table", "data.path=own.csv", "data.target=b", "task=regression")
    words += ("network=table_mlp", "trainer.max_epochs=1", "logger=null", "trainer=cpu")
    assert leyden("train", *words).code == 0
    (run,) = tmp_path.glob("runs/own/*")

    done = leyden("evaluate", f"run={run}")

    assert done.code == 0, done.err
    assert "classes of" not in done.err
    assert not (run / "classes.csv").exists()

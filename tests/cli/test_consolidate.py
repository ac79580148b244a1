"""A run whose network was sharded over two ranks, read by one process."""

import csv
import io
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from leyden.checkpoints.io import load_checkpoint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sharded_run(tmp_path_factory, leyden_process):
    folder = tmp_path_factory.mktemp("sharded")
    words = ("network=cnn", "network.channels=[4,8]", "trainer.max_epochs=2", "name=sharded")
    done = leyden_process("train", "trainer=fsdp", "trainer.accelerator=cpu", *words, cwd=folder)
    assert done.code == 0, done.err
    (run,) = (folder / "runs" / "sharded").iterdir()
    return run


@pytest.fixture
def recorded(sharded_run):
    metrics = json.loads((sharded_run / "metrics.json").read_text())
    return {name: value for name, value in metrics.items() if not name.startswith("train/")}


@pytest.fixture
def image(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 16, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def row(done):
    assert done.code == 0, done.err
    (only,) = csv.DictReader(io.StringIO(done.out))
    return only


def test_a_run_is_evaluated_by_one_process(sharded_run, recorded, leyden):
    assert (sharded_run / "checkpoints" / "best.ckpt").is_dir()

    done = leyden("evaluate", f"run={sharded_run}")

    assert done.code == 0, done.err
    assert json.loads(done.out) == pytest.approx(recorded, rel=1e-5)


def test_a_checkpoint_may_lie_outside_its_run(sharded_run, recorded, leyden, tmp_path):
    shutil.copytree(sharded_run / "checkpoints" / "best.ckpt", tmp_path / "copied.ckpt")

    done = leyden("evaluate", "run=copied.ckpt")

    assert json.loads(done.out) == pytest.approx(recorded, rel=1e-5)


def test_both_kinds_of_checkpoint_predict_the_same(sharded_run, recorded, image, leyden, tmp_path):
    expected = row(leyden("predict", f"run={sharded_run}", f"input={image}"))

    done = leyden("consolidate", f"run={sharded_run}", "to=whole.ckpt")

    assert done.code == 0, done.err
    assert done.out == f"{tmp_path / 'whole.ckpt'}\n"
    assert row(leyden("predict", "run=whole.ckpt", f"input={image}")) == expected
    evaluated = leyden("evaluate", "run=whole.ckpt")
    assert json.loads(evaluated.out) == pytest.approx(recorded, rel=1e-5)


def test_the_file_has_all_entries_of_the_sharded_checkpoint(sharded_run, leyden, tmp_path):
    last = sharded_run / "checkpoints" / "last.ckpt"

    leyden("consolidate", f"run={last}", "to=whole.ckpt")

    ordinary = torch.load(tmp_path / "whole.ckpt", weights_only=True)
    assert ordinary.keys() == load_checkpoint(last).keys()
    assert ordinary["leyden"]["config"]["name"] == "sharded"
    tensors = [*ordinary["state_dict"].values()]
    for state in ordinary["optimizer_states"][0]["state"].values():
        tensors += state.values()
    assert {type(each) for each in tensors} == {torch.Tensor}
    assert not any(each.is_meta for each in tensors)


def test_the_file_is_beside_the_checkpoint_and_never_overwritten(sharded_run, leyden, tmp_path):
    run = shutil.copytree(sharded_run, tmp_path / "run")
    whole = run / "checkpoints" / "best-whole.ckpt"

    first = leyden("consolidate", f"run={run}")
    content = whole.read_bytes()
    second = leyden("consolidate", f"run={run}")

    assert first.out == f"{whole}\n"
    assert second.code == 2
    assert "and this one exists" in second.err
    assert whole.read_bytes() == content


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "run= is missing"),
        (["run=nowhere"], "run=nowhere does not exist"),
        (["run=SHARDED", "to=weights.pt"], "expected the path of a new file that ends in .ckpt"),
        (["run=SHARDED", "trainer=cpu"], "trainer=cpu is not understood"),
        (["run=ORDINARY"], "is already an ordinary checkpoint"),
        (["run=TORN"], "best.ckpt is damaged"),
    ],
)
def test_wrong_inputs_are_user_errors(words, expected, sharded_run, shared_run, leyden, tmp_path):
    torn = shutil.copytree(sharded_run, tmp_path / "torn")
    (shard, *_) = (torn / "checkpoints" / "best.ckpt").glob("*/__1_0.distcp")
    shard.write_bytes(shard.read_bytes()[:-1])
    places = {"SHARDED": str(sharded_run), "ORDINARY": str(shared_run), "TORN": str(torn)}
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]

    done = leyden("consolidate", *words)

    assert done.code == 2
    assert expected in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert not list(tmp_path.glob("*.ckpt"))

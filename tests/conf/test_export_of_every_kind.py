"""Every data set can be trained, exported, and predicted with from files."""

import json
import subprocess
import sys

import numpy as np
import pytest

import leyden
import shipped
from leyden.config.compose import compose, freeze
from leyden.config.fitting import networks_that_take
from leyden.runs.folder import RunFolder
from leyden.serving.export import BATCHES, export
from leyden.serving.precision import TOLERANCES
from leyden.workflows.assembly import build_data
from leyden.workflows.finished import load_run
from leyden.workflows.train import train

DEBUG = ["trainer=debug", "trainer.precision=32-true"]

PREDICT = """
import json, sys
import numpy as np
import leyden
values = dict(np.load(sys.argv[1] + "/values.npz"))
rows = leyden.load(sys.argv[1]).predict(values)
assert "torch" not in sys.modules
print(json.dumps(rows))
"""


@pytest.mark.slow
def test_an_export_answers_as_its_checkpoint(kind, tmp_path):
    if kind[0] in ("data=docstrings", "data=text_corpus"):
        kind = [*kind, "task.temperature=0", "task.new_tokens=5"]
    words = [*DEBUG, *kind, f"network={some_network(kind)}"]
    train(freeze(compose(words)), RunFolder(tmp_path / "run"))

    record = export(str(tmp_path / "run"), tmp_path / "network")

    assert record["parity"]["deviation"] <= TOLERANCES["fp32"]
    assert record["parity"]["batches"] == list(BATCHES)
    data = load_run(str(tmp_path / "run")).data
    data.prepare_data()
    data.setup("test")
    values = data.values_of(data.row_numbers("test")[:3])
    by_run = leyden.load(tmp_path / "run").predict(values)
    by_export = predict_in_a_fresh_process(tmp_path / "network", values)
    assert len(by_export) == len(by_run) == len(next(iter(values.values())))
    for ours, theirs in zip(by_export, by_run, strict=True):
        assert_same(ours, theirs)


def predict_in_a_fresh_process(network, values):
    np.savez(network / "values.npz", **values)
    command = [sys.executable, "-c", PREDICT, str(network)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def some_network(kind):
    """Return a network that takes the data; data sets of one kind get different ones."""
    data = build_data(freeze(compose(kind)))
    data.prepare_data()
    data.setup()
    fitting = sorted(networks_that_take(data.network_sizes()))
    place = shipped.OPTIONS["data"].index(kind[0].removeprefix("data="))
    return fitting[place % len(fitting)]


def assert_same(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        if isinstance(value, float):
            np.testing.assert_allclose(value, theirs[name], rtol=1e-5, atol=TOLERANCES["fp32"])
        else:
            assert value == theirs[name]

"""Every data set can be trained, exported, and predicted with from files."""

import json
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest

import leyden
import shipped
from leyden.config.compose import compose, freeze
from leyden.config.fitting import networks_that_take
from leyden.runs.folder import RunFolder
from leyden.serving.export import FLOAT32, export
from leyden.serving.parity import BATCHES
from leyden.serving.precision import TOLERANCES, measure
from leyden.workflows.assembly import build_data
from leyden.workflows.finished import inference_trainer, load_run
from leyden.workflows.train import train

DEBUG = ["trainer=debug", "trainer.precision=32-true"]

TRITON = {"FLOAT": "FP32", "DOUBLE": "FP64"}

PREDICT = """
import json, sys
import numpy as np
import leyden
values = dict(np.load(sys.argv[1] + "/values.npz"))
network = leyden.load(sys.argv[1])
request = network.artefact.record["example"]["request"]
example = network.artefact.reader.decode_rows(request["inputs"]).fields
found = {"rows": network.predict(values), "example": network.predict(example, top=request["top"])}
assert "torch" not in sys.modules
print(json.dumps(found))
"""


@pytest.mark.slow
def test_an_export_answers_as_its_checkpoint(kind, tmp_path):
    if kind[0] in ("data=docstrings", "data=text_corpus"):
        kind = [*kind, "task.temperature=0", "task.new_tokens=5"]
    words = [*DEBUG, *kind, f"network={some_network(kind)}"]
    train(freeze(compose(words)), RunFolder(tmp_path / "run"))

    record = export(str(tmp_path / "run"), tmp_path / "network", deploy=["triton"])

    assert record["parity"]["deviation"] <= TOLERANCES["fp32"]
    assert record["parity"]["batches"] == list(BATCHES)
    finished = load_run(str(tmp_path / "run"), FLOAT32)
    finished.data.prepare_data()
    finished.data.setup("test")
    values = finished.data.values_of(finished.data.row_numbers("test")[:3])
    by_run = leyden.load(tmp_path / "run").predict(values)
    by_export = predict_in_a_fresh_process(tmp_path / "network", values)
    assert len(by_export["rows"]) == len(by_run) == len(next(iter(values.values())))
    for ours, theirs in zip(by_export["rows"], by_run, strict=True):
        assert_same(ours, theirs)
    assert by_export["example"] == record["example"]["response"]["predictions"]
    assert_measured_as_its_checkpoint(finished, tmp_path / "network")
    assert_fits_the_configuration_of_triton(tmp_path / "network")


def assert_measured_as_its_checkpoint(finished, network):
    trainer = inference_trainer(finished)
    measured = measure(finished.task, finished.data, leyden.load(network).network)
    (expected,) = trainer.validate(finished.task, datamodule=finished.data, verbose=False)
    if sampled := measured.pop("val/sampled_perplexity", None):  # from a few texts here
        assert sampled == pytest.approx(expected["val/perplexity"], rel=0.5)
    else:
        assert measured == pytest.approx(expected, rel=1e-4, abs=1e-5, nan_ok=True)


def assert_fits_the_configuration_of_triton(network):
    graph = onnx.load(network / "model.onnx").graph
    found = re.findall(
        r'(input|output) \{\n  name: "(.*)"\n  data_type: TYPE_(.*)\n  dims: \[ (.*) \]'
        r"(\n  reshape \{ shape: \[ \] \})?\n\}",
        (network / "config.pbtxt").read_text(),
    )
    assert found == [
        (kind, value.name, *triton_type(value.type.tensor_type))
        for kind, values in (("input", graph.input), ("output", graph.output))
        for value in values
    ]


def triton_type(tensor):
    """Return the type, the sizes without the batch, and what reshapes rows of one number."""
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type)
    batch, *sizes = (
        size.dim_value if size.HasField("dim_value") else -1 for size in tensor.shape.dim
    )
    assert batch == -1
    reshape = "" if sizes else "\n  reshape { shape: [ ] }"
    return TRITON.get(dtype, dtype), ", ".join(map(str, sizes or [1])), reshape


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

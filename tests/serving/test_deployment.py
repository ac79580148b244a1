"""Configurations of other servers."""

import re
import subprocess
import typing
from pathlib import Path

import pytest
import yaml

from leyden.schema import Dtype, Field
from leyden.serving.deployment import inference_service, triton_config, write_deployment

PAGE = Path(__file__).parents[2] / "docs" / "deploy.md"


def field(name, dtype, *sizes):
    return Field(name=name, dtype=dtype, shape=("batch", *sizes), meaning="")


def test_varying_sizes_and_rows_of_one_number_have_dimensions_in_triton():
    inputs = [field("0/waveforms", "int16", "samples"), field("0/frames", "int64")]
    outputs = [field("log_probabilities", "float32", "steps", 29)]

    dims = re.findall(r"dims: (.*)\n(.*)\n", triton_config(inputs, outputs))

    assert dims == [("[ -1 ]", "}"), ("[ 1 ]", "  reshape { shape: [ ] }"), ("[ -1, 29 ]", "}")]


@pytest.mark.parametrize("dtype", typing.get_args(Dtype))
def test_every_dtype_has_a_type_of_triton(dtype):
    config = triton_config([field("x", dtype, 3)], [])

    name = {"float32": "FP32", "float64": "FP64"}.get(dtype, dtype.upper())
    assert f"data_type: TYPE_{name}\n" in config


@pytest.mark.parametrize("name", ["My run_2", "2024", "-", "é", "x" * 100, "a." * 50])
def test_a_service_has_a_name_that_kubernetes_accepts(name):
    service = yaml.safe_load(inference_service(name))

    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", service["metadata"]["name"])
    assert service["spec"]["predictor"]["model"]["modelFormat"] == {"name": "onnx"}


def test_the_page_shows_how_the_repository_of_triton_is_made(tmp_path):
    (commands,) = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.M | re.DOTALL)
    folder = tmp_path / "exports" / "digits"
    folder.mkdir(parents=True)
    (folder / "model.onnx").touch()
    write_deployment("triton", folder, name="digits", inputs=[], outputs=[])

    subprocess.run(["sh", "-euc", commands], cwd=tmp_path, check=True)

    files = {path.name: path for path in (tmp_path / "models").rglob("*.*")}
    assert files["config.pbtxt"].parent == tmp_path / "models" / "digits"
    assert files["model.onnx"].parent == tmp_path / "models" / "digits" / "1"

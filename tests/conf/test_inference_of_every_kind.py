"""Every kind of data is served to a client of the Open Inference Protocol."""

import json
import subprocess
import sys

import httpx
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput

import shipped
from leyden.config.compose import compose, freeze
from leyden.config.fitting import networks_that_take
from leyden.runs.folder import RunFolder
from leyden.serving.artefact import read_artefact
from leyden.serving.export import export
from leyden.workflows.assembly import build_data
from leyden.workflows.train import train

pytestmark = pytest.mark.slow

KINDS = ("image_folder", "audio_folder", "speech_text", "text_folder", "text_corpus", "table")

SHIPPED = [kind for kind in KINDS if kind in shipped.OPTIONS["data"]]

DEBUG = ["trainer=debug", "trainer.precision=32-true"]

DATATYPES = {"images": "UINT8", "waveforms": "INT16", "numbers": "FP64"}
"""Datatypes of inputs; the others are INT64."""


@pytest.fixture
def served(kind, tmp_path):
    """Yield the URL of a server of an export, and the export."""
    if "task=language_modelling" in kind:
        kind = [*kind, "task.new_tokens=5"]
    data = build_data(freeze(compose(kind)))
    data.prepare_data()
    data.setup()
    network = min(networks_that_take(data.network_sizes()))
    train(freeze(compose([*DEBUG, *kind, f"network={network}"])), RunFolder(tmp_path / "run"))
    export(str(tmp_path / "run"), tmp_path / "network")
    command = [sys.executable, "-m", "leyden", "serve", "port=0", f"export={tmp_path}/network"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    url = process.stdout.readline().strip()
    assert url, (tmp_path / "log").read_text()
    yield url, read_artefact(tmp_path / "network")
    process.terminate()
    process.communicate(timeout=60)


def infer(client, artefact, values, *, binary):
    """Return all outputs for values, which are sent and returned as binary data or as JSON."""
    described = client.get_model_metadata(artefact.record["name"])
    inputs = []
    for each in described["inputs"]:
        array = values[each["name"]]
        assert [size for size in each["shape"][1:] if size != -1] == [
            found
            for found, size in zip(array.shape[1:], each["shape"][1:], strict=True)
            if size != -1
        ]
        assert each["datatype"] == DATATYPES.get(each["name"], "INT64")
        inputs.append(InferInput(each["name"], list(array.shape), each["datatype"]))
        inputs[-1].set_data_from_numpy(array, binary_data=binary)
    names = [each["name"] for each in described["outputs"]]
    requested = [InferRequestedOutput(name, binary_data=binary) for name in names]
    answer = client.infer(artefact.record["name"], inputs, request_id="7", outputs=requested)
    assert answer.get_response()["id"] == "7"
    return {name: answer.as_numpy(name) for name in names}


@pytest.mark.parametrize("kind", SHIPPED, indirect=True)
def test_a_client_of_triton_gets_what_rows_of_json_get(served):
    url, artefact = served
    example = artefact.record["example"]
    values = artefact.reader.decode_rows(example["request"]["inputs"]).fields
    (row,) = httpx.post(f"{url}/v1/predict", json=example["request"]).json()["predictions"]
    client = InferenceServerClient(url.removeprefix("http://"))
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(artefact.record["name"], artefact.record["version"])

    raw = infer(client, artefact, values, binary=True)

    text = next(name for name in raw if raw[name].dtype == object)
    assert raw[text].tolist() == [row[text].encode()]
    if all(np.isfinite(array).all() for array in values.values()):
        as_json = infer(client, artefact, values, binary=False)
        assert as_json[text].tolist() == [row[text]]
        for name in raw.keys() - {text}:
            np.testing.assert_array_equal(raw[name], as_json[name])
    client.close()


@pytest.mark.parametrize("kind", sorted({"text_corpus"} & set(SHIPPED)), indirect=True)
def test_a_language_model_streams_the_completion_of_its_example(served):
    url, _ = served
    described = httpx.get(f"{url}/openapi.json").json()["paths"]["/v1/completions"]["post"]
    request = described["requestBody"]["content"]["application/json"]["example"]
    response = described["responses"]["200"]["content"]["application/json"]["example"]

    whole = httpx.post(f"{url}/v1/completions", json=request).json()
    with httpx.stream("POST", f"{url}/v1/completions", json={**request, "stream": True}) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]

    assert lines.pop() == "[DONE]"
    text = "".join(json.loads(line)["choices"][0]["text"] for line in lines)
    assert text == whole["choices"][0]["text"]
    assert text.strip() == response["choices"][0]["text"].strip()
    assert whole["usage"] == response["usage"]

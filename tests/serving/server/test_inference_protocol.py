"""The Open Inference Protocol, in this process."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from leyden.schema import Field
from leyden.serving.server.errors import RequestError
from leyden.serving.server.inference_protocol import decode_request
from leyden.serving.server.tensors import BinaryData, read_tensor, write_tensor

pytestmark = pytest.mark.anyio

INFER = "/v2/models/brightness/infer"

TWO_ROWS = {
    "name": "images",
    "datatype": "UINT8",
    "shape": [2, 1, 2, 2],
    "data": [0, 0, 0, 0, 255, 255, 255, 255],
}

CLASSES = {"name": "class", "datatype": "BYTES", "shape": [2], "data": ["dark", "light"]}

PROBABILITIES = {
    "name": "probabilities",
    "datatype": "FP32",
    "shape": [2, 2],
    "data": [1.0, 0.0, 0.0, 1.0],
}


def one_row(**changed):
    return {"inputs": [{**TWO_ROWS, "shape": [1, 1, 2, 2], "data": [0] * 4, **changed}]}


def message(answer):
    """Return the message of an error, which is all that its body holds."""
    (text,) = answer.json().values()
    assert answer.json() == {"error": text}
    return text


async def test_the_server_and_the_network_are_described(make_client):
    async with make_client() as client:
        server = (await client.get("/v2")).json()
        model = (await client.get("/v2/models/brightness")).json()
        version = (await client.get("/v2/models/brightness/versions/1")).json()
        ready = await client.get("/v2/models/brightness/ready")

    assert server["name"] == "leyden"
    assert server["extensions"] == ["binary_tensor_data"]
    assert model == version
    assert (model["name"], model["versions"]) == ("brightness", ["1"])
    assert model["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 1, 2, 2]}]
    assert model["outputs"] == [
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
        {"name": "class", "datatype": "BYTES", "shape": [-1]},
    ]
    assert ready.json() == {"name": "brightness", "ready": True}


async def test_health_has_no_body_and_needs_no_key(make_client):
    async with make_client(keys=["secret"]) as client:
        for name in ("live", "ready"):
            answer = await client.get(f"/v2/health/{name}")
            assert (answer.status_code, answer.content) == (200, b"")
        refused = await client.get("/v2/models/brightness")

    assert refused.status_code == 401
    assert "API key" in message(refused)


async def test_a_stopping_server_is_not_ready(make_app, client_of):
    app = make_app()
    app.state.draining = True
    async with client_of(app) as client:
        for path in ("/v2/health/ready", "/v2/models/brightness/ready"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert "stopping" in message(answer)


@pytest.mark.parametrize("path", [INFER, "/v2/models/brightness/versions/1/infer"])
async def test_all_outputs_are_returned_by_default(make_client, path):
    async with make_client() as client:
        answer = await client.post(path, json={"inputs": [TWO_ROWS]})

    assert answer.json() == {
        "model_name": "brightness",
        "model_version": "1",
        "outputs": [PROBABILITIES, CLASSES],
    }


async def test_the_id_and_the_requested_outputs_are_honoured(make_client):
    request = {"id": "7", "inputs": [TWO_ROWS], "outputs": [{"name": "class"}]}
    async with make_client() as client:
        answer = (await client.post(INFER, json=request)).json()

    assert answer["id"] == "7"
    assert answer["outputs"] == [CLASSES]


@pytest.mark.parametrize(
    "data",
    [
        [[[[0, 0], [0, 0]]], [[[255, 255], [255, 255]]]],
        [0, 0, 0, 0, 255, 255, 255, 255],
    ],
)
async def test_data_is_flat_or_nested(make_client, data):
    parameters = {"a": 1, "b": "text", "c": True}
    request = {"inputs": [{**TWO_ROWS, "data": data, "parameters": parameters}], "outputs": []}
    async with make_client() as client:
        answer = await client.post(INFER, json={**request, "parameters": parameters})

    assert answer.json()["outputs"] == [PROBABILITIES, CLASSES]


async def test_binary_data_follow_the_json(make_client):
    described = {name: TWO_ROWS[name] for name in ("name", "datatype", "shape")}
    request = {
        "inputs": [{**described, "parameters": {"binary_data_size": 8}}],
        "outputs": [
            {"name": "class"},
            {"name": "probabilities", "parameters": {"binary_data": False}},
        ],
        "parameters": {"binary_data_output": True},
    }
    start = json.dumps(request).encode()
    size = {"Inference-Header-Content-Length": str(len(start))}
    async with make_client() as client:
        answer = await client.post(INFER, content=start + bytes(TWO_ROWS["data"]), headers=size)

    end = int(answer.headers["Inference-Header-Content-Length"])
    classes, probabilities = json.loads(answer.content[:end])["outputs"]
    assert probabilities == PROBABILITIES
    assert classes["parameters"] == {"binary_data_size": 17}
    assert answer.content[end:] == b"\4\0\0\0dark\5\0\0\0light"


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ([], "Expected a JSON object"),
        ({}, "inputs: expected an array of objects"),
        ({"inputs": TWO_ROWS}, "inputs: expected an array of objects"),
        ({"inputs": []}, "images is not there"),
        ({"inputs": [TWO_ROWS, TWO_ROWS]}, "images occurs twice"),
        (one_row(name="image"), "'image' is unknown. Did you mean 'images'?"),
        (one_row(name=3), "3 is unknown"),
        (one_row(datatype="INT64"), "expected datatype UINT8, got 'INT64'"),
        (one_row(datatype=None), "expected datatype UINT8"),
        (one_row(shape=[1, 4]), "expected shape [-1, 1, 2, 2], got [1, 4]"),
        (one_row(shape=[-1, 1, 2, 2]), "expected shape"),
        (one_row(shape=[1.0, 1, 2, 2]), "expected shape"),
        (one_row(shape=[True, 1, 2, 2]), "expected shape"),
        (one_row(shape=None), "expected shape"),
        (one_row(shape=[0, 1, 2, 2], data=[]), "at least one, got 0"),
        (one_row(shape=[10**30, 1, 2, 2]), "at most 4 rows"),
        (one_row(shape=[5, 1, 2, 2]), "at most 4 rows"),
        (one_row(data=None), "expected data as an array, got null"),
        (one_row(data="AAAA"), "expected data as an array"),
        (one_row(data=[0] * 3), "expected 4 values"),
        (one_row(data=[[0, 0], [0, 0]]), "nested as its shape"),
        (one_row(data=[[[[0, 0], [0]]]]), "nested as its shape"),
        (one_row(data=[[[[0, 0], [0, [0]]]]]), "got [0]"),
        (one_row(data=[0, 0, 0, 300]), "300 out of bounds"),
        (one_row(data=[0, 0, 0, -1]), "-1 out of bounds"),
        (one_row(data=[0, 0, 0, 10**40]), "too large"),
        (one_row(data=[0, 0, 0, 3.5]), "expected values of type UINT8, got 3.5"),
        (one_row(data=[0, 0, 0, True]), "got True"),
        (one_row(data=[0, 0, 0, "1"]), "got '1'"),
        (one_row(data=[0, 0, 0, None]), "got None"),
        (one_row(parameters=[]), "parameters"),
        (one_row(parameters={"a": []}), "parameters"),
        (one_row(parameters={"binary_data_size": 4}), "got both"),
        ({**one_row(), "id": 1}, "id: expected a string"),
        ({**one_row(), "parameters": {"a": None}}, "parameters"),
        ({**one_row(), "outputs": [{"name": "classes"}]}, "Did you mean 'class'?"),
        ({**one_row(), "parameters": {"binary_data_output": 1}}, "expected true or false, got 1"),
        ({**one_row(), "outputs": ["class"]}, "outputs: expected an array of objects"),
        ({**one_row(), "outputs": [{"name": "class"}] * 2}, "class occurs twice"),
        (one_row(data=[13] * 4), "13"),
    ],
)
async def test_what_the_protocol_does_not_allow_is_refused(make_client, request_, expected):
    async with make_client(max_rows=4) as client:
        answer = await client.post(INFER, json=request_)

    assert answer.status_code == (413 if "at most 4" in expected else 400)
    assert expected in message(answer)


@pytest.mark.parametrize("member", ["data", "shape", "datatype", "name"])
async def test_json_of_any_depth_is_refused(make_client, member):
    deep = json.dumps(one_row(**{member: "deep"})).replace('"deep"', "[" * 900 + "]" * 900)
    async with make_client() as client:
        answer = await client.post(INFER, content=deep)

    assert answer.status_code == 400
    assert message(answer)


@pytest.mark.parametrize(
    ("size", "header", "content", "expected"),
    [
        (4, None, b"", "up to the 0"),
        (4, "{}", b"\0\0\0", "up to the 3"),
        (3, "{}", b"\0\0\0", "expected 4 bytes of binary data, got 3"),
        (4, "{}", b"\0\0\0\0\0", "1 bytes of binary data belong to no input"),
        (-1, "{}", b"\0\0\0\0", "got -1"),
        ("4", "{}", b"\0\0\0\0", "got '4'"),
        (4, "9999", b"\0\0\0\0", "expected a number of bytes"),
        (4, "-1", b"\0\0\0\0", "expected a number of bytes"),
        (4, "9" * 5000, b"\0\0\0\0", "expected a number of bytes"),
        (4, "5", b"\0\0\0\0", "not JSON"),
    ],
)
async def test_wrong_binary_data_are_refused(make_client, size, header, content, expected):
    request = one_row(parameters={"binary_data_size": size})
    del request["inputs"][0]["data"]
    start = json.dumps(request).encode()
    headers = {"Inference-Header-Content-Length": header.format(len(start))} if header else {}
    async with make_client() as client:
        answer = await client.post(INFER, content=start + content, headers=headers)

    assert answer.status_code == 400
    assert expected in message(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/other", 404),
        ("GET", "/v2/models/other/ready", 404),
        ("POST", "/v2/models/other/infer", 404),
        ("GET", "/v2/models/brightness/versions/2", 404),
        ("GET", "/v2/models/brightness/versions/2/ready", 404),
        ("POST", "/v2/models/brightness/versions/2/infer", 404),
        ("GET", "/v2/nowhere", 404),
        ("GET", INFER, 405),
        ("POST", INFER, 413),
    ],
)
async def test_all_errors_have_the_same_body(make_client, method, path, status):
    async with make_client(max_bytes=8) as client:
        answer = await client.request(method, path, content=b"{}" * 8 if status == 413 else b"")

    assert answer.status_code == status
    assert message(answer)


def tensor(field, data=None, binary=None, **described):
    """Return a tensor of JSON or binary data as an array."""
    content = (
        {"data": data} if binary is None else {"parameters": {"binary_data_size": len(binary)}}
    )
    return read_tensor({**described, **content}, field, BinaryData(binary or b"")).array()


@pytest.mark.parametrize(
    ("dtype", "datatype", "values"),
    [
        ("bool", "BOOL", [True, False]),
        ("uint8", "UINT8", [0, 255]),
        ("int16", "INT16", [-(2**15), 2**15 - 1]),
        ("int64", "INT64", [-(2**63), 2**63 - 1]),
        ("float32", "FP32", [0.5, -2]),
        ("float64", "FP64", [1e300, 3]),
    ],
)
def test_values_of_each_type_survive_in_json_and_binary(dtype, datatype, values):
    field = Field(name="x", dtype=dtype, shape=("batch",), meaning="")
    array = np.array(values, dtype)
    for binary in (False, True):
        described, content = write_tensor("x", array, binary=binary)
        assert described["datatype"] == datatype
        assert described["shape"] == [2]
        described.pop("parameters", None)
        back = tensor(field, described.pop("data", None), content if binary else None, **described)
        assert back.dtype == array.dtype
        assert back.tolist() == values


@pytest.mark.parametrize(
    ("dtype", "datatype", "value"),
    [
        ("bool", "BOOL", 1),
        ("int16", "INT16", 2**15),
        ("int64", "INT64", 2**63),
        ("int64", "INT64", 3.0),
        ("float32", "FP32", 1e39),
        ("float64", "FP64", float("inf")),  # what 1e999 is read as
        ("float64", "FP64", 10**400),
        ("float64", "FP64", True),
        ("float64", "FP64", None),
    ],
)
def test_a_value_of_another_type_is_refused(dtype, datatype, value):
    field = Field(name="x", dtype=dtype, shape=("batch",), meaning="")

    with pytest.raises(RequestError, match=r"^x: "):
        tensor(field, [value], datatype=datatype, shape=[1])


def test_sizes_that_vary_have_bounds():
    field = Field(name="x", dtype="uint8", shape=("batch", "n"), meaning="", least=2, most=3)

    for size in (2, 3):
        array = tensor(field, [0] * size, datatype="UINT8", shape=[1, size])
        assert array.shape == (1, size)
    for size in (1, 4):
        with pytest.raises(RequestError, match=r"with at least 2 .* with at most 3"):
            tensor(field, [0] * size, datatype="UINT8", shape=[1, size])


def test_json_holds_no_infinite_answer():
    with pytest.raises(RequestError, match="not finite"):
        write_tensor("x", np.array([np.nan]), binary=False)
    assert write_tensor("x", np.array([np.nan]), binary=True)[1]


async def test_the_example_of_the_description_is_answered_as_described(make_client):
    async with make_client() as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        infer = paths["/v2/models/{name}/infer"]["post"]
        content = infer["requestBody"]["content"]["application/json"]
        answer = await client.post(INFER, json=content["example"])

    assert answer.status_code == 200
    assert answer.json() == infer["responses"]["200"]["content"]["application/json"]["example"]
    assert "422" not in infer["responses"]
    assert "/v1/completions" not in paths


async def test_values_without_columns_are_no_inputs():
    pixels, without = (
        Field(name=name, dtype="uint8", shape=("batch", size), meaning="")
        for name, size in (("pixels", 2), ("without", 0))
    )
    reader = SimpleNamespace(values=(without, pixels))
    tensor = {"name": "pixels", "datatype": "UINT8", "shape": [3, 2], "data": [1] * 6}

    decoded = decode_request(
        json.dumps({"inputs": [tensor]}).encode(), reader, json_size=None, outputs=[], max_rows=3
    )

    assert {name: array.shape for name, array in decoded.values.items()} == {
        "pixels": (3, 2),
        "without": (3, 0),
    }

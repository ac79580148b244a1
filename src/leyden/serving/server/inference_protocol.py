"""The routes of the Open Inference Protocol, version 2, over REST.

The specification is github.com/kserve/open-inference-protocol. Inputs and outputs may also be
binary data, an extension that Triton's clients use by default.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from leyden.arrays import Arrays
from leyden.data.json_values import json_type
from leyden.data.readers import Reader
from leyden.errors import did_you_mean
from leyden.serving.artefact import Artefact, graph_inputs
from leyden.serving.server.bodies import DIGITS, limit_rows, parse_json
from leyden.serving.server.errors import (
    INFERENCE_PROTOCOL,
    RequestError,
    bad_request,
    refuse_while_draining,
)
from leyden.serving.server.limits import in_time
from leyden.serving.server.service import Service, service_of
from leyden.serving.server.tensors import (
    BinaryData,
    Output,
    describe_field,
    read_parameters,
    read_tensor,
    write_tensor,
)

router = APIRouter(prefix=INFERENCE_PROTOCOL.rstrip("/"), tags=["Open Inference Protocol"])

JSON_SIZE = "Inference-Header-Content-Length"
"""Header of a body with binary data: the size of the JSON before it."""

EXTENSIONS = ["binary_tensor_data"]


@dataclass(frozen=True, kw_only=True)
class InferenceRequest:
    """A request to infer.

    Attributes:
        id: Id that the client gave it; ``None`` if it gave none.
        values: Arrays ``(rows, ...)`` by name.
        outputs: Names of the outputs to return, and whether each is returned as binary data.
    """

    id: str | None
    values: Arrays
    outputs: Mapping[str, bool]


@router.get("", summary="Describe the server")
@router.get("/", include_in_schema=False)
async def describe_server() -> dict[str, Any]:
    """Return the name and version of the server, and the extensions of the protocol."""
    return {"name": "leyden", "version": version("leyden"), "extensions": EXTENSIONS}


@router.get("/health/live", summary="Whether the process is alive")
async def live() -> Response:
    """Answer while the event loop runs."""
    return Response()


@router.get("/health/ready", summary="Whether requests are accepted")
async def ready(request: Request) -> Response:
    """Refuse once the server is about to stop."""
    refuse_while_draining(request)
    return Response()


@router.get("/models/{name}", summary="Describe the network")
@router.get("/models/{name}/versions/{version}", summary="Describe a version of the network")
async def describe_model(request: Request) -> dict[str, Any]:
    """Return the types and shapes of the tensors."""
    return describe_tensors(_find_model(request).artefact)


@router.get("/models/{name}/ready", summary="Whether the network is ready")
@router.get("/models/{name}/versions/{version}/ready", summary="Whether a version is ready")
async def model_ready(request: Request) -> dict[str, Any]:
    """Refuse once the server is about to stop."""
    service = _find_model(request)
    refuse_while_draining(request)
    return {"name": service.model["name"], "ready": True}


@router.post("/models/{name}/infer", summary="Infer outputs from tensors")
@router.post("/models/{name}/versions/{version}/infer", summary="Infer outputs with a version")
async def infer(request: Request) -> Response:
    """Compute the outputs for a batch of rows."""
    service = _find_model(request)
    body = await request.body()
    decode = partial(
        decode_request,
        body,
        json_size=request.headers.get(JSON_SIZE),
        outputs=[each["name"] for each in describe_tensors(service.artefact)["outputs"]],
        max_rows=service.options.max_rows,
    )
    async with in_time(service.options.timeout):
        inference = await service.decode(decode, size=len(body))
        outputs = await _compute(service, inference)
    return _respond(service, inference, outputs)


def describe_tensors(artefact: Artefact) -> dict[str, Any]:
    """Return the metadata of a network: what its graph takes and returns, and texts for people."""
    texts = [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in text_columns(artefact)]
    return {
        "name": artefact.record["name"],
        "versions": [artefact.record["version"]],
        "platform": "onnx_onnxv1",
        "inputs": [describe_field(field) for field in graph_inputs(artefact.reader)],
        "outputs": [describe_field(field) for field in artefact.reading.answers] + texts,
    }


def text_columns(artefact: Artefact) -> list[str]:
    """Return the columns of predictions that are texts: a class, labels, a transcript, a text."""
    (prediction,) = artefact.record["example"]["response"]["predictions"]
    return [name for name, value in prediction.items() if isinstance(value, str)]


def decode_request(
    body: bytes, reader: Reader, *, json_size: str | None, outputs: Sequence[str], max_rows: int
) -> InferenceRequest:
    """Decode a request to infer.

    Args:
        body: JSON, and binary data after it.
        reader: Describes the inputs.
        json_size: Size of the JSON in bytes, if binary data follow.
        outputs: Names of the outputs that can be returned.
        max_rows: Largest number of rows.

    Raises:
        RequestError: If the protocol does not allow it, or it has too many rows.
    """
    end = _json_end(json_size, body)
    content = parse_json(body[:end])
    request_id = content.get("id")
    if not isinstance(request_id, str | None):
        raise bad_request(f"id: expected a string, got {json_type(request_id)}.")
    return InferenceRequest(
        id=request_id,
        values=_read_inputs(content, reader, BinaryData(body[end:]), max_rows=max_rows),
        outputs=_read_outputs(content, outputs),
    )


def _find_model(request: Request) -> Service:
    """Return the network that a path names.

    Raises:
        RequestError: If it is not the one that is served.
    """
    service = service_of(request)
    served = service.model
    for part, value in request.path_params.items():
        if value != served[part]:
            noun = "version" if part == "version" else "model"
            raise RequestError(
                HTTPStatus.NOT_FOUND,
                f"{noun} {value!r:.80} is not served. Expected {served[part]!r}.",
            )
    return service


def _json_end(json_size: str | None, body: bytes) -> int:
    if json_size is None:
        return len(body)
    if not DIGITS.fullmatch(json_size) or int(json_size) > len(body):
        raise bad_request(
            f"{JSON_SIZE}: expected a number of bytes up to the {len(body)} of the body, got "
            f"{json_size!r:.80}."
        )
    return int(json_size)


def _read_inputs(
    content: Mapping[str, Any], reader: Reader, binary: BinaryData, *, max_rows: int
) -> Arrays:
    """Return the inputs of a request as arrays, and empty ones for those without columns."""
    fields = {field.name: field for field in graph_inputs(reader)}
    described = _by_name(content.get("inputs"), "inputs", list(fields))
    missing = [name for name in fields if name not in described]
    if missing:
        raise bad_request(
            f"inputs: expected {', '.join(fields)}, but {', '.join(missing)} is not there."
        )
    tensors = {name: read_tensor(each, fields[name], binary) for name, each in described.items()}
    if binary.rest:
        raise bad_request(f"{binary.rest} bytes of binary data belong to no input.")
    rows = {tensor.shape[0] for tensor in tensors.values()}
    if len(rows) > 1 or 0 in rows:
        raise bad_request(
            "Expected the same number of rows in all inputs, and at least one, got "
            f"{', '.join(map(str, sorted(rows)))}."
        )
    count = rows.pop()
    limit_rows(count, max_rows)
    arrays = {name: tensor.array() for name, tensor in tensors.items()}
    return arrays | {
        field.name: np.zeros((count, *(size for size in field.shape if size == 0)), field.dtype)
        for field in reader.values
        if field.name not in arrays
    }


def _read_outputs(content: Mapping[str, Any], known: Sequence[str]) -> dict[str, bool]:
    """Return the outputs that a request asks for, all by default, and which are binary."""
    default = _flag(content, "binary_data_output", default=False)
    requested = _by_name(content.get("outputs", []), "outputs", known)
    return {
        name: _flag(requested.get(name, {}), "binary_data", default=default)
        for name in requested or known
    }


def _flag(described: Mapping[str, Any], parameter: str, *, default: bool) -> bool:
    value = read_parameters(described).get(parameter, default)
    if not isinstance(value, bool):
        raise bad_request(f"{parameter}: expected true or false, got {value!r:.80}.")
    return value


def _by_name(described: object, member: str, known: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the objects of a list by their names.

    Raises:
        RequestError: If it is not such a list, or a name is unknown or occurs twice.
    """
    if not isinstance(described, list) or not all(isinstance(each, dict) for each in described):
        raise bad_request(f"{member}: expected an array of objects.")
    found: dict[str, Mapping[str, Any]] = {}
    for each in described:
        name = each.get("name")
        if not isinstance(name, str) or name not in known:
            raise bad_request(f"{member}: {name!r:.80} is unknown.{did_you_mean(str(name), known)}")
        if name in found:
            raise bad_request(f"{member}: {name} occurs twice.")
        found[name] = each
    return found


async def _compute(service: Service, inference: InferenceRequest) -> Mapping[str, Output]:
    """Return the outputs of a request by name, among others."""
    answers = await service.answer(inference.values)
    if all(name in answers for name in inference.outputs):
        return answers
    return {**await service.read(inference.values, [answers]), **answers}


def _respond(
    service: Service, inference: InferenceRequest, outputs: Mapping[str, Output]
) -> Response:
    tensors = [
        write_tensor(name, outputs[name], binary=binary)
        for name, binary in inference.outputs.items()
    ]
    content = {
        "model_name": service.model["name"],
        "model_version": service.model["version"],
        **({} if inference.id is None else {"id": inference.id}),
        "outputs": [described for described, _ in tensors],
    }
    body = json.dumps(content).encode()
    if not any(inference.outputs.values()):
        return Response(body, media_type="application/json")
    return Response(
        b"".join([body, *(binary for _, binary in tensors)]),
        media_type="application/octet-stream",
        headers={JSON_SIZE: str(len(body))},
    )

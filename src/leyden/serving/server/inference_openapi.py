"""The description of the Open Inference Protocol as OpenAPI, with the tensors of the network."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from leyden.serving.artefact import Artefact, graph_inputs
from leyden.serving.server.errors import INFERENCE_PROTOCOL
from leyden.serving.server.inference_protocol import JSON_SIZE, describe_tensors, text_columns
from leyden.serving.server.tensors import describe_field, write_tensor

MOST_ELEMENTS = 1024
"""Number of elements beyond which tensors are too long for an example."""

UNUSED_ERRORS = ("415", "422")
"""Errors of other paths, which are 400 here."""

TIMEOUT = "408"
"""Error that is answered before the path of the request is known."""

PARAMETERS = {
    "type": "object",
    "description": "Of any name; binary_data_size, binary_data, binary_data_output have a meaning.",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}

SHAPE = {"type": "array", "items": {"type": "integer", "minimum": 0}}

DATA = {"type": "array", "description": "Values in row-major order: flat, or nested as the shape."}


def describe_inference(description: dict[str, Any], artefact: Artefact) -> None:
    """Complete the description of the paths of the protocol.

    Args:
        description: Description as OpenAPI, to which schemas, parameters and responses are added.
        artefact: Description of the network.
    """
    description["components"]["schemas"] |= _schemas(artefact)
    for path, operations in description["paths"].items():
        if f"{path}/".startswith(INFERENCE_PROTOCOL):
            for operation in operations.values():
                _complete(operation, path, artefact)


def _complete(operation: dict[str, Any], path: str, artefact: Artefact) -> None:
    errors = {
        status: response if status == TIMEOUT else response | {"content": _json("InferenceError")}
        for status, response in operation["responses"].items()
        if status not in ("200", *UNUSED_ERRORS)
    }
    if "{name}" in path:
        errors["404"] = {
            "description": "The model or version does not exist.",
            "content": _json("InferenceError"),
        }
        operation["parameters"] = [
            _parameter("path", part, {"type": "string", "enum": [artefact.record[part]]})
            for part in ("name", "version")
            if f"{{{part}}}" in path
        ]
    answered: dict[str, Any] = {"description": "Success.", **_content(path, artefact)}
    if path.endswith("/infer"):
        size = _parameter("header", JSON_SIZE, {"type": "integer", "minimum": 0})
        operation["parameters"].append({**size, "required": False})
        request, response = _example(artefact)
        binary = {"application/octet-stream": {"schema": {"description": "JSON, binary data."}}}
        operation["requestBody"] = {
            "required": True,
            "content": _json("InferenceRequest", request) | binary,
        }
        answered["content"] = _json("InferenceResponse", response) | binary
    operation["responses"] = {"200": answered, **errors}


def _content(path: str, artefact: Artefact) -> dict[str, Any]:
    """Return the content of the answer to a path that takes no body, if it has one."""
    if path.startswith(f"{INFERENCE_PROTOCOL}health"):
        return {}
    if path.endswith("/ready"):
        ready = {"name": artefact.record["name"], "ready": True}
        return {"content": _json("ModelReady", ready)}
    if "{name}" in path:
        return {"content": _json("ModelMetadata", describe_tensors(artefact))}
    return {"content": _json("ServerMetadata")}


def _schemas(artefact: Artefact) -> dict[str, Any]:
    tensors = describe_tensors(artefact)
    text, texts = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
    metadata = _object({"name": text, "datatype": text, "shape": {"type": "array"}})
    inputs = [
        _object(
            {
                "name": {"const": field.name},
                "datatype": {"const": describe_field(field)["datatype"]},
                "shape": {**SHAPE, "minItems": len(field.shape), "maxItems": len(field.shape)},
                "data": {**DATA, "description": f"{DATA['description']} {field.meaning}"},
            },
            {"parameters": PARAMETERS},
            required=("name", "datatype", "shape"),
        )
        for field in graph_inputs(artefact.reader)
    ]
    requested = _object(
        {"name": {"enum": [each["name"] for each in tensors["outputs"]]}},
        {"parameters": PARAMETERS},
    )
    returned = _object(
        {"name": text, "datatype": text, "shape": SHAPE},
        {"parameters": PARAMETERS, "data": DATA},
    )
    count = {"minItems": len(inputs), "maxItems": len(inputs)}
    return {
        "InferenceError": _object({"error": text}),
        "ServerMetadata": _object({"name": text, "version": text, "extensions": texts}),
        "ModelMetadata": _object(
            {
                "name": text,
                "versions": texts,
                "platform": text,
                "inputs": {"type": "array", "items": metadata},
                "outputs": {"type": "array", "items": metadata},
            }
        ),
        "ModelReady": _object({"name": text, "ready": {"type": "boolean"}}),
        "InferenceRequest": _object(
            {"inputs": {"type": "array", "items": {"oneOf": inputs}, **count}},
            {
                "id": text,
                "parameters": PARAMETERS,
                "outputs": {"type": "array", "items": requested},
            },
        ),
        "InferenceResponse": _object(
            {
                "model_name": text,
                "model_version": text,
                "outputs": {"type": "array", "items": returned},
            },
            {"id": text},
        ),
    }


def _example(artefact: Artefact) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return a request with the row of the record's example, and its response, unless too long."""
    example = artefact.record["example"]
    decoded = artefact.reader.decode_rows(example["request"]["inputs"]).fields
    values = {field.name: decoded[field.name] for field in graph_inputs(artefact.reader)}
    is_long = sum(array.size for array in values.values()) > MOST_ELEMENTS
    if is_long or not all(np.isfinite(array).all() for array in values.values()):
        return None, None
    (prediction,) = example["response"]["predictions"]
    name = next(iter(text_columns(artefact)), None)
    output = (
        {"name": "value", "datatype": "FP64", "shape": [1], "data": [prediction["value"]]}
        if name is None
        else write_tensor(name, [prediction[name]], binary=False)[0]
    )
    request = {
        "id": "42",
        "inputs": [write_tensor(key, array, binary=False)[0] for key, array in values.items()],
        "outputs": [{"name": output["name"]}],
    }
    response = {
        "model_name": artefact.record["name"],
        "model_version": artefact.record["version"],
        "id": "42",
        "outputs": [output],
    }
    return request, response


def _parameter(place: str, name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"in": place, "name": name, "required": True, "schema": schema}


def _object(
    properties: Mapping[str, Any],
    others: Mapping[str, Any] | None = None,
    *,
    required: tuple[str, ...] | None = None,
) -> dict[str, Any]:
    """Return the JSON Schema of an object, all of whose first properties are required."""
    return {
        "type": "object",
        "properties": {**properties, **(others or {})},
        "required": list(required or properties),
    }


def _json(schema: str, example: Any = None) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"application/json": content if example is None else {**content, "example": example}}

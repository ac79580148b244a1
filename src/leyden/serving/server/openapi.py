"""The description of the server as OpenAPI, with the rows of the network that it serves."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from leyden.serving.artefact import TOP
from leyden.serving.server.completions_openapi import describe_completions
from leyden.serving.server.inference_openapi import describe_inference
from leyden.serving.server.keys import OPEN

ERRORS = {
    HTTPStatus.BAD_REQUEST: "The request is not HTTP, not JSON or not a form.",
    HTTPStatus.UNAUTHORIZED: "The API key is missing or wrong.",
    HTTPStatus.REQUEST_TIMEOUT: "The request has not arrived in time.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request has too many bytes or rows.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body has another media type.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A value, row or file cannot be read.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The server is overloaded or stopping; try again later.",
}

ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "row": {"type": "integer", "description": "Index of the row at fault."},
                "file": {"type": "string", "description": "Name of the file at fault."},
            },
            "required": ["message"],
        }
    },
    "required": ["error"],
}

TOP_CLASSES = {
    "type": "integer",
    "minimum": 0,
    "default": TOP,
    "description": "Number of the most probable classes in each prediction.",
}

KEY = {"Key": {"type": "http", "scheme": "bearer"}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description of an application and of the network that it serves now."""
    record = app.state.service.artefact.record
    description = get_openapi(
        title=record["name"], version=record["version"], openapi_version="3.1.0", routes=app.routes
    )
    description["paths"]["/v1/predict"] = {"post": _predict(record["example"])}
    components = description.setdefault("components", {})
    components["schemas"] = components.get("schemas", {}) | _schemas(record)
    if app.state.asks_for_keys:
        components["securitySchemes"] = KEY
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            operation["responses"] |= _errors(method)
            if app.state.asks_for_keys and path not in OPEN:
                operation["security"] = [{"Key": []}]
    describe_inference(description, app.state.service.artefact)
    describe_completions(description, app.state.service.artefact)
    return description


def _schemas(record: Mapping[str, Any]) -> dict[str, Any]:
    (prediction,) = record["example"]["response"]["predictions"]
    return {
        "Error": ERROR,
        "Row": {name: value for name, value in record["row"].items() if name != "$schema"},
        "Request": {
            "type": "object",
            "properties": {
                "inputs": {"type": "array", "items": _reference("Row")},
                "top": TOP_CLASSES,
            },
            "required": ["inputs"],
            "additionalProperties": False,
        },
        "Upload": {
            "type": "object",
            "properties": {"top": TOP_CLASSES},
            "additionalProperties": {
                "type": "string",
                "format": "binary",
                "description": "A file, under any name; a form may hold several.",
            },
            "minProperties": 1,
        },
        "Prediction": {
            **_schema_of(prediction),
            "required": [name for name in prediction if name != "top"],
        },
        "Response": {
            "type": "object",
            "properties": {
                "predictions": {"type": "array", "items": _reference("Prediction")},
                "model": _schema_of(record["example"]["response"]["model"]),
            },
            "required": ["predictions", "model"],
        },
    }


def _predict(example: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "summary": "Predict rows or files",
        "description": "Predicts the rows of a JSON request, or those of uploaded files.",
        "operationId": "predict",
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _reference("Request"),
                    "example": example["request"],
                },
                "multipart/form-data": {"schema": _reference("Upload")},
            },
        },
        "responses": {
            "200": {
                "description": "One prediction per row.",
                "content": {
                    "application/json": {
                        "schema": _reference("Response"),
                        "example": example["response"],
                    }
                },
            },
        },
    }


def _errors(method: str) -> dict[str, Any]:
    """Return the errors of an operation; those of a body only if it takes one."""
    content = {"application/json": {"schema": _reference("Error")}}
    of_bodies = (HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY)
    return {
        str(status.value): {"description": meaning, "content": content}
        for status, meaning in ERRORS.items()
        if method == "post" or status not in of_bodies
    }


def _schema_of(value: Any) -> dict[str, Any]:
    """Return the JSON Schema of values like an example."""
    match value:
        case dict():
            return {
                "type": "object",
                "properties": {name: _schema_of(each) for name, each in value.items()},
            }
        case list():
            return {"type": "array", "items": _schema_of(value[0]) if value else {}}
        case str():
            return {"type": "string"}
        case _:
            return {"type": "number"}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}

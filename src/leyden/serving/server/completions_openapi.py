"""The description of completions as OpenAPI, for networks that have them."""

from typing import Any

from leyden.serving.artefact import Artefact
from leyden.serving.server.completions import MOST_STOPS, PATH, SAMPLING
from leyden.tasks.readings import ContinuationReading

CHOICE = {
    "type": "object",
    "properties": {
        "index": {"const": 0},
        "text": {"type": "string", "description": "What follows the prompt."},
        "finish_reason": {
            "type": ["string", "null"],
            "enum": ["stop", "length", None],
            "description": "null for all pieces of a stream but the last.",
        },
        "logprobs": {"type": "null"},
    },
    "required": ["index", "text", "finish_reason", "logprobs"],
}

RESPONSE = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "object": {"const": "text_completion"},
        "created": {"type": "integer", "description": "Seconds since 1970."},
        "model": {"type": "string"},
        "choices": {"type": "array", "items": CHOICE, "minItems": 1, "maxItems": 1},
        "usage": {
            "type": "object",
            "properties": {
                name: {"type": "integer"}
                for name in ("prompt_tokens", "completion_tokens", "total_tokens")
            },
        },
    },
    "required": ["id", "object", "created", "model", "choices"],
}


def describe_completions(description: dict[str, Any], artefact: Artefact) -> None:
    """Complete the description of the path, or remove it if the network is not a language model.

    Args:
        description: Description as OpenAPI.
        artefact: Description of the network.
    """
    if not isinstance(artefact.reading, ContinuationReading):
        del description["paths"][PATH]
        return
    request, response = _example(artefact, artefact.reading)
    operation = description["paths"][PATH]["post"]
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {
                "schema": _request(artefact.record["name"], artefact.reading),
                "example": request,
            }
        },
    }
    events = {"type": "string", "description": "data: …, one line per event; the last is [DONE]."}
    operation["responses"]["200"] = {
        "description": "The completion, whole or as Server-Sent Events.",
        "content": {
            "application/json": {"schema": RESPONSE, "example": response},
            "text/event-stream": {"schema": events},
        },
    }
    operation["responses"]["404"] = {
        "description": "The model is not served.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }


def _request(model: str, reading: ContinuationReading) -> dict[str, Any]:
    """Return the schema of a request, whose defaults are the settings of the export."""
    stop = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "properties": {
            "model": {"const": model},
            "prompt": {"type": "string"},
            **_sampling(reading),
            "stop": {"anyOf": [stop, {"type": "array", "items": stop, "maxItems": MOST_STOPS}]},
            "stream": {"type": "boolean", "default": False},
        },
        "required": ["prompt"],
    }


def _sampling(reading: ContinuationReading) -> dict[str, dict[str, Any]]:
    properties = {
        name: {"type": kind, "minimum": least, "default": getattr(reading, setting)}
        for name, (setting, kind, least) in SAMPLING.items()
    }
    properties["temperature"]["description"] = "0 takes the most probable token."
    return properties


def _example(
    artefact: Artefact, reading: ContinuationReading
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a request with the text of the record's example, and its response."""
    example = artefact.record["example"]
    (row,), (prediction,) = example["request"]["inputs"], example["response"]["predictions"]
    prompt = artefact.reader.decode_rows([row]).fields["tokens"].shape[1]
    response = {
        "id": "cmpl-42",
        "object": "text_completion",
        "created": 1798761600,
        "model": artefact.record["name"],
        "choices": [
            {
                "index": 0,
                "text": prediction["text"].removeprefix(row["text"]),
                "finish_reason": "length",
                "logprobs": None,
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": reading.new_tokens,
            "total_tokens": prompt + reading.new_tokens,
        },
    }
    return {"model": artefact.record["name"], "prompt": row["text"]}, response

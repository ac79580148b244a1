"""Errors of requests, and the JSON that answers them."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

INFERENCE_PROTOCOL = "/v2/"
"""Beginning of the paths of the Open Inference Protocol, which defines another body of errors."""

DISCONNECTED = 499
"""Status that the log has for a request whose client has disconnected, as in nginx."""

RETRY_AFTER = {"Retry-After": "1"}
"""Header of every response with status 503, in seconds."""


class RequestError(Exception):
    """A request that is answered with an error.

    Args:
        status: Status of the response, from 400.
        message: What was expected, what was given, and the remedy.
        headers: Further headers of the response.
        details: Further members of the error, such as ``row``.
    """

    def __init__(
        self, status: int, message: str, *, headers: Mapping[str, str] | None = None, **details: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.details = details


def bad_request(message: str) -> RequestError:
    """Return the error of a request that is not as a protocol requires."""
    return RequestError(HTTPStatus.BAD_REQUEST, message)


def unprocessable(message: str, **details: Any) -> RequestError:
    """Return the error of a request whose values cannot be read; see ``RequestError``."""
    return RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, message, **details)


def overloaded(message: str) -> RequestError:
    """Return the error of a request that may be sent again later."""
    return RequestError(HTTPStatus.SERVICE_UNAVAILABLE, message, headers=RETRY_AFTER)


def refuse_while_draining(request: Request) -> None:
    """Raise if the server is about to stop.

    Raises:
        RequestError: If it is.
    """
    if request.app.state.draining:
        raise overloaded("The server is stopping.")


def error_body(message: str, **details: Any) -> bytes:
    """Return the JSON that answers a request with an error.

    Example:
        >>> error_body("Expected a number.", row=3)
        b'{"error": {"message": "Expected a number.", "row": 3}}'
    """
    return json.dumps({"error": {"message": message, **details}}).encode()


def error_response(error: RequestError, path: str) -> Response:
    """Return the response to a request with an error.

    Args:
        error: The error.
        path: Path of the request. Below ``/v2`` the body is ``{"error": "Expected …"}``, and what
            cannot be processed has status 400.
    """
    body, status = error_body(str(error), **error.details), error.status
    if f"{path}/".startswith(INFERENCE_PROTOCOL):
        body = json.dumps({"error": str(error)}).encode()
        if status == HTTPStatus.UNPROCESSABLE_ENTITY:
            status = HTTPStatus.BAD_REQUEST
    return Response(body, status_code=status, headers=error.headers, media_type="application/json")


async def answer_client_error(request: Request, error: Exception) -> Response:
    """Answer an error that the request has caused."""
    match error:
        case RequestError():
            refused = error
        case ClientDisconnect():  # nobody reads this
            refused = RequestError(DISCONNECTED, "The client has disconnected.")
        case RecursionError():
            refused = RequestError(HTTPStatus.BAD_REQUEST, "The JSON is nested too deeply.")
        case _:
            refused = RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
    return error_response(refused, request.url.path)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer an error that Starlette has raised, such as an unknown path."""
    assert isinstance(error, HTTPException)
    path, method = f"{request.url.path:.200}", f"{request.method:.20}"
    messages = {
        HTTPStatus.NOT_FOUND: f"{path} does not exist. /openapi.json describes all paths.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{path} does not take {method}.",
    }
    message = messages.get(HTTPStatus(error.status_code), str(error.detail))
    refused = RequestError(error.status_code, message, headers=error.headers)
    return error_response(refused, request.url.path)


async def answer_fault(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Answer an error of the program, whose traceback is in the log."""
    fault = RequestError(HTTPStatus.INTERNAL_SERVER_ERROR, "The server has failed. See its log.")
    return error_response(fault, request.url.path)

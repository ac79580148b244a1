"""The routes of the server."""

import json
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from leyden.errors import UserError
from leyden.serving.server import completions, inference_protocol
from leyden.serving.server.bodies import (
    decode_files,
    decode_json,
    media_type,
    read_files,
)
from leyden.serving.server.errors import (
    RequestError,
    answer_client_error,
    answer_fault,
    answer_http_error,
    refuse_while_draining,
)
from leyden.serving.server.keys import RequireKey
from leyden.serving.server.limits import LimitBodies, in_time
from leyden.serving.server.metrics import Metrics
from leyden.serving.server.observation import ObserveRequests
from leyden.serving.server.openapi import describe
from leyden.serving.server.options import Options
from leyden.serving.server.page import page_router
from leyden.serving.server.service import Service, service_of

router = APIRouter()

INTERNAL = ("preprocessing", "reading")
"""Members of ``model.json`` that clients do not need."""


def create_app(
    service: Service, *, metrics: Metrics, options: Options, keys: Sequence[str] = ()
) -> FastAPI:
    """Return the ASGI application that serves a network.

    Its state is ``service``, which another one may replace while requests are answered, and
    ``draining``, whether the server is about to stop.

    Args:
        service: The network.
        metrics: Counts of the server.
        options: Limits.
        keys: API keys; requests need none if there are none.
    """
    # the pages of the documentation would load scripts from another host
    app = FastAPI(docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.service = service
    app.state.metrics = metrics
    app.state.asks_for_keys = bool(keys)
    app.state.draining = False
    metrics.observe_queue(lambda: app.state.service.queued_rows)
    # a plain route, because FastAPI would look for parameters and models, which it has none of
    app.add_route("/v1/predict", predict, methods=["POST"])
    app.include_router(router)
    app.include_router(inference_protocol.router)
    app.include_router(completions.router)
    app.include_router(page_router())
    app.openapi = partial(describe, app)  # type: ignore[method-assign]
    for error in (RequestError, UserError, RecursionError, ClientDisconnect):
        app.add_exception_handler(error, answer_client_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(Exception, answer_fault)
    app.add_middleware(LimitBodies, max_bytes=options.max_bytes)
    app.add_middleware(RequireKey, keys=keys)
    plain = frozenset(route.path for route in app.routes if type(route) is Route)
    app.add_middleware(ObserveRequests, metrics=metrics, plain_routes=plain)
    return app


async def predict(request: Request) -> Response:
    """Predict the rows of a JSON request, or those of uploaded files."""
    service = service_of(request)
    predictor = PREDICTORS.get(media_type(request))
    if predictor is None or "content-encoding" in request.headers:
        raise RequestError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Expected Content-Type application/json, or multipart/form-data with files, and no "
            "Content-Encoding.",
        )
    predictions = await predictor(request, service)
    try:
        return as_json({"predictions": predictions, "model": service.model})
    except ValueError:
        raise RequestError(
            HTTPStatus.UNPROCESSABLE_ENTITY, "The network's answer to a row is not finite."
        ) from None


async def _predict_rows(request: Request, service: Service) -> list[dict[str, Any]]:
    body = await request.body()
    read = partial(decode_json, body, max_rows=service.options.max_rows)
    async with in_time(service.options.timeout):
        inputs, top = await service.decode(read, size=len(body))
        return await service.predict(inputs, top=top)


async def _predict_files(request: Request, service: Service) -> list[dict[str, Any]]:
    most = service.options.max_rows
    files, top = await read_files(request, max_files=most)
    size = sum(len(content) for _, content in files)
    async with in_time(service.options.timeout):
        inputs = await service.decode(partial(decode_files, files, max_rows=most), size=size)
        predicted = await service.predict(inputs, top=top)
    return [{"file": name, **row} for name, row in zip(inputs.names, predicted, strict=True)]


PREDICTORS = {"application/json": _predict_rows, "multipart/form-data": _predict_files}
"""Functions that predict a body, by its media type."""


@router.get("/v1/model", summary="Describe the network")
async def model(request: Request) -> Response:
    """Return ``model.json`` without what only the server needs."""
    record = service_of(request).artefact.record
    return as_json({name: value for name, value in record.items() if name not in INTERNAL})


@router.get("/healthz", summary="Whether the process is alive")
async def health(request: Request) -> Response:  # noqa: ARG001
    """Answer while the event loop runs."""
    return as_json({"status": "alive"})


@router.get("/readyz", summary="Whether requests are accepted")
async def readiness(request: Request) -> Response:
    """Refuse once the server is about to stop."""
    refuse_while_draining(request)
    return as_json({"status": "ready"})


@router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Return counts of requests, rows and batches."""
    return Response(request.app.state.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def as_json(content: Any) -> Response:
    """Return a response of JSON.

    Raises:
        ValueError: If a number is not finite, which JSON cannot express.
    """
    return Response(json.dumps(content, allow_nan=False), media_type="application/json")

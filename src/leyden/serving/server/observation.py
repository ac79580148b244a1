"""ASGI middleware that gives each request an id, counts it and logs it."""

import logging
import re
import secrets
from collections.abc import Container
from http import HTTPStatus
from itertools import count
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.serving.server.errors import DISCONNECTED
from leyden.serving.server.logs import REQUEST_ID
from leyden.serving.server.metrics import Metrics

LOG = logging.getLogger(__name__)

PLAIN_ID = re.compile(r"[!-~]{1,128}")
"""Ids that clients may give."""


class ObserveRequests:
    """Counts and logs requests; the id is that of the header ``X-Request-ID``, or a new one.

    Args:
        app: The application.
        metrics: Counts the requests.
        plain_routes: Paths of routes of Starlette, which does not note them in the scope.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics, plain_routes: Container[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._plain_routes = plain_routes
        self._prefix = secrets.token_hex(8)  # of this process
        self._numbers = count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = perf_counter()
        status = DISCONNECTED
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if PLAIN_ID.fullmatch(given) else f"{self._prefix}-{next(self._numbers)}"
        REQUEST_ID.set(request_id)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        if scope["method"] == "HEAD":  # the protocol leaves out the body
            scope = {**scope, "method": "GET"}
        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        finally:
            self._record(scope, status, perf_counter() - start)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        path = scope["path"]
        unnoted = path if path in self._plain_routes else "unknown"
        route = str(getattr(scope.get("route"), "path", unnoted))
        self._metrics.observe_request(route, status, seconds)
        client = scope.get("client")
        fields = {
            "client": client and client[0],
            "method": scope["method"],
            "path": path,
            "status": status,
            "ms": round(1000 * seconds, 2),
        }
        LOG.info("request", extra={"fields": fields})

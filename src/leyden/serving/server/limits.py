"""Limits of the bytes of bodies, of each and of all together, and of the time to answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from leyden.serving.server.errors import RequestError, error_response, overloaded

BODIES = 16
"""Number of bodies of the largest size that may be in memory together."""


class LimitBodies:
    """Refuses bodies that are too large, and bodies while others fill the memory.

    Args:
        app: The application.
        max_bytes: Largest size of a body.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, whose body counts as held until then."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def receive_limited() -> Message:
            nonlocal received
            message = await receive()
            size = len(message.get("body", b""))
            received += size
            self._held += size
            self._check(received)
            return message

        try:
            self._check(int(Headers(scope=scope).get("content-length", 0)))
        except RequestError as error:
            await error_response(error, scope["path"])(scope, receive, send)
            return
        try:
            await self._app(scope, receive_limited, send)
        finally:
            self._held -= received

    def _check(self, size: int) -> None:
        """Raise if a body of this size is too large, or all together are."""
        if size > self._max_bytes:
            raise RequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The body is too large: expected at most {self._max_bytes} bytes. Send fewer rows "
                "at once.",
            )
        if self._held > BODIES * self._max_bytes:
            raise overloaded("Too many large requests at once. Try again later.")


@asynccontextmanager
async def in_time(seconds: float, *, since: float | None = None) -> AsyncIterator[None]:
    """Cancel the block after some seconds.

    Args:
        seconds: Longest time.
        since: Start of the time, in seconds of the event loop; now by default.

    Raises:
        RequestError: If the block was cancelled.
    """
    start = asyncio.get_running_loop().time() if since is None else since
    try:
        async with asyncio.timeout_at(start + seconds):
            yield
    except TimeoutError:
        raise overloaded(f"The answer takes more than {seconds:g} s. Try again later.") from None

"""API keys, and ASGI middleware that requires one."""

import hmac
import os
from collections.abc import Sequence
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from leyden.errors import UserError, first_line
from leyden.serving.server import page
from leyden.serving.server.errors import RequestError, error_response

VARIABLE = "LEYDEN_API_KEYS"
"""Environment variable of the keys, separated by commas or white space."""

PROBES = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")

OPEN = frozenset({*PROBES, *page.FILES})
"""Paths that need no key."""


def read_keys(file: Path | None) -> list[str]:
    """Return the keys of a file, one per line, and of the environment.

    Raises:
        UserError: If the file cannot be read or holds no key.
    """
    keys = os.environ.get(VARIABLE, "").replace(",", " ").split()
    if file is None:
        return keys
    try:
        lines = file.expanduser().read_text(encoding="utf-8").split()
    except (OSError, ValueError) as error:
        raise UserError(f"keys={file} cannot be read: {first_line(error)}.") from error
    if not lines:
        raise UserError(f"keys={file} holds no key. Expected one per line.")
    return keys + lines


class RequireKey:
    """Refuses requests without a key, except those of ``OPEN`` paths.

    The key is in the header ``Authorization: Bearer KEY`` or ``X-API-Key: KEY``.

    Args:
        app: The application.
        keys: The keys; all requests are answered if there are none.
    """

    def __init__(self, app: ASGIApp, *, keys: Sequence[str]) -> None:
        self._app = app
        self._digests = [_digest(key) for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"] not in OPEN and not self._knows(scope):
            await error_response(
                RequestError(
                    HTTPStatus.UNAUTHORIZED,
                    "Expected an API key in the header Authorization: Bearer KEY, or X-API-Key.",
                    headers={"WWW-Authenticate": "Bearer"},
                ),
                scope["path"],
            )(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        """Whether a request has one of the keys; takes the same time for all wrong ones."""
        if not self._digests:
            return True
        headers = Headers(scope=scope)
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            key = headers.get("x-api-key", "")
        digest = _digest(key.strip())
        return sum(hmac.compare_digest(digest, each) for each in self._digests) > 0


def _digest(key: str) -> bytes:
    """Return the SHA-256 of a key: digests have equal lengths, which comparing would reveal."""
    return sha256(key.encode()).digest()

"""The page for people at the root: a form for inputs, and their predictions."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Media types by suffix; those that the operating system lists may differ."""

FILES = {
    "/" if file.name == "index.html" else f"/page/{file.name}": file
    for file in (Path(__file__).parent / "page").iterdir()
    if file.suffix in MEDIA_TYPES
}
"""Files of the page, by their path on the server."""

POLICY = (
    "default-src 'self'; img-src 'self' blob:; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
"""Nothing is loaded from other hosts; blobs are the files that a user gives."""

HEADERS = {
    "Cache-Control": "no-cache",  # browsers ask whether it has changed, which is answered by 304
    "Content-Security-Policy": POLICY,
    "Permissions-Policy": "microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page_router() -> APIRouter:
    """Return the routes of ``FILES``."""
    router = APIRouter()
    for path, file in FILES.items():
        router.add_api_route(path, _sender(file), methods=["GET", "HEAD"], include_in_schema=False)
    return router


def _sender(file: Path) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a file, which is read here."""
    content = file.read_bytes()
    tag = f'"{sha256(content).hexdigest()}"'
    headers = HEADERS | {"ETag": tag}

    async def send(request: Request) -> Response:
        if tag in request.headers.get("If-None-Match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=MEDIA_TYPES[file.suffix], headers=headers)

    return send

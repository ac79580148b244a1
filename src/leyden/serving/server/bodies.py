"""The bodies of requests for predictions: rows as JSON, or uploaded files."""

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NoReturn

from starlette.datastructures import UploadFile
from starlette.requests import Request

from leyden.data.inputs import Inputs
from leyden.errors import did_you_mean, first_line
from leyden.serving.server.errors import RequestError

MEMBERS = ("inputs", "top")
"""Members of a JSON request."""


def media_type(request: Request) -> str:
    """Return the media type of the body in lower case, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object of a body.

    Raises:
        RequestError: If the body is not strict JSON, or not an object.
    """
    body = await request.body()
    try:
        content = json.loads(
            body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_distinct
        )
    except RecursionError:
        raise RequestError(HTTPStatus.BAD_REQUEST, "The JSON is nested too deeply.") from None
    except ValueError as error:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, f"The body is not JSON: {first_line(error)}."
        ) from None
    if not isinstance(content, dict):
        raise _unprocessable(f"Expected a JSON object, got {_kind(content)}.")
    return content


def rows_and_top(content: dict[str, Any], *, max_rows: int) -> tuple[list[Any], int]:
    """Return the rows of a JSON request, and the number of classes in each prediction.

    Raises:
        RequestError: If the request has other members, or too many rows.
    """
    for name in content:
        if name not in MEMBERS:
            raise _unprocessable(f"{name!r:.80} is unknown.{did_you_mean(name, MEMBERS)}")
    rows = content.get("inputs")
    if not isinstance(rows, list):
        raise _unprocessable(f"inputs: expected a list of rows, got {_kind(rows)}.")
    if len(rows) > max_rows:
        raise too_many_rows(len(rows), max_rows)
    return rows, read_top(content.get("top", 0))


async def read_files(request: Request, *, max_files: int) -> tuple[list[tuple[str, bytes]], int]:
    """Return the name and content of each uploaded file, and the value of the field ``top``.

    Raises:
        RequestError: If the body is not a form, or holds too many files or none.
    """
    async with request.form(max_files=max_files, max_fields=len(MEMBERS)) as form:
        uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        files = [(upload.filename or "", await upload.read()) for upload in uploads]
        top = form.get("top", "0")
    if not files:
        raise _unprocessable("The form holds no file. Expected at least one.")
    return files, read_top(int(top) if isinstance(top, str) and top.isdecimal() else top)


def read_top(top: object) -> int:
    """Return a valid number of classes.

    Raises:
        RequestError: If it is not an integer of at least 0.
    """
    if isinstance(top, bool) or not isinstance(top, int | float) or top != top // 1 or top < 0:
        raise _unprocessable(f"top: expected an integer of at least 0, got {top!r:.80}.")
    return int(top)


def refuse_rejected(inputs: Inputs) -> None:
    """Raise if a row or file cannot be read.

    Raises:
        RequestError: For the first of them.
    """
    for item in inputs.rejected:
        kind, _, number = item.source.rpartition(" ")
        at = {"row": int(number)} if kind == "row" else {"file": item.source}
        raise RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, f"{item.source}: {item.reason}.", **at)


def too_many_rows(rows: int, most: int) -> RequestError:
    """Return the error of a request with too many rows."""
    return RequestError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"Expected at most {most} rows, got {rows}. Send several requests.",
    )


def _unprocessable(message: str) -> RequestError:
    return RequestError(HTTPStatus.UNPROCESSABLE_ENTITY, message)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r:.80} is there twice")
    return members


def _kind(value: object) -> str:
    """Return what JSON calls a value."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return names.get(type(value), "null" if value is None else "a number")

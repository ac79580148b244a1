"""The bodies of requests for predictions: rows as JSON, or uploaded files."""

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NoReturn

from starlette.datastructures import UploadFile
from starlette.requests import Request

from leyden.data.inputs import Inputs, join_values
from leyden.data.json_values import json_type
from leyden.data.readers import Reader
from leyden.data.rows import RejectedItem
from leyden.errors import did_you_mean, first_line
from leyden.serving.artefact import TOP
from leyden.serving.server.errors import RequestError, bad_request, unprocessable

File = tuple[str, bytes]
"""Name that the client gives a file, and its content."""

DIGITS = re.compile(r"[0-9]{1,9}")

MEMBERS = ("inputs", "top")
"""Members of a JSON request."""


def media_type(request: Request) -> str:
    """Return the media type of the body in lower case, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body.

    Raises:
        RequestError: If the body is not strict JSON, or not an object.
        RecursionError: If it is nested too deeply.
    """
    try:
        content = json.loads(
            body.decode(), parse_constant=_refuse_constant, object_pairs_hook=_distinct
        )
    except ValueError as error:
        raise bad_request(f"The body is not JSON: {first_line(error)}.") from None
    if not isinstance(content, dict):
        raise unprocessable(f"Expected a JSON object, got {json_type(content)}.")
    return content


def decode_json(body: bytes, reader: Reader, *, max_rows: int) -> tuple[Inputs, int]:
    """Decode the rows of a JSON request.

    Returns:
        The rows, and the number of the most probable classes in each prediction.

    Raises:
        RequestError: If the request or one of its rows cannot be read.
        RecursionError: If it is nested too deeply.
    """
    content = parse_json(body)
    for name in content:
        if name not in MEMBERS:
            raise unprocessable(f"{name!r:.80} is unknown.{did_you_mean(name, MEMBERS)}")
    rows = content.get("inputs")
    if not isinstance(rows, list):
        raise unprocessable(f"inputs: expected an array of rows, got {json_type(rows)}.")
    limit_rows(len(rows), max_rows)
    inputs = reader.decode_rows(rows)
    for item in inputs.rejected:
        raise _unreadable(item, row=int(item.source.removeprefix("row ")))
    return inputs, _read_top(content.get("top", TOP))


async def read_files(request: Request, *, max_files: int) -> tuple[list[File], int]:
    """Return the uploaded files of a form, and the number of the most probable classes.

    Raises:
        RequestError: If there is no file, a field other than ``top``, or ``top`` is not an integer.
    """
    async with request.form(max_files=max_files, max_fields=len(MEMBERS)) as form:
        uploads = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        files = [(upload.filename or "", await upload.read()) for upload in uploads]
        top = form.get("top", str(TOP))
        for name, value in form.multi_items():
            if isinstance(value, str) and name != "top":
                raise unprocessable(
                    f"The field {name!r:.80} is not a file. Expected files, each with a file name, "
                    "and top if it is needed."
                )
    if not files:
        raise unprocessable("The form holds no file. Expected at least one.")
    return files, _read_top(int(top) if isinstance(top, str) and DIGITS.fullmatch(top) else top)


def decode_files(files: Sequence[File], reader: Reader, *, max_rows: int) -> Inputs:
    """Decode the rows of uploaded files.

    Raises:
        RequestError: If one of them cannot be read, or they have too many rows.
    """
    parts = []
    for name, content in files:
        part = reader.decode_file(name, content)
        for item in part.rejected:
            raise _unreadable(item, file=name)
        parts.append(part)
    names = [row for part in parts for row in part.names]
    limit_rows(len(names), max_rows)
    fields = join_values(reader.values, [part.fields for part in parts if part.names])
    return Inputs(names=names, fields=fields)


def _read_top(top: object) -> int:
    if isinstance(top, bool) or not isinstance(top, int | float) or top != top // 1 or top < 0:
        raise unprocessable(f"top: expected an integer of at least 0, got {top!r:.80}.")
    return int(top)


def limit_rows(rows: int, most: int) -> None:
    """Raise if a request has too many rows.

    Raises:
        RequestError: If it has.
    """
    if rows > most:
        raise RequestError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"Expected at most {most} rows, got {rows}. Send several requests.",
        )


def _unreadable(item: RejectedItem, **details: Any) -> RequestError:
    reason = item.reason.removesuffix(".")
    begins = reason.startswith(item.source)
    return unprocessable(f"{reason}." if begins else f"{item.source}: {reason}.", **details)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r:.80} occurs twice")
    return members

"""Client of ``leyden serve``, for Python with ``pip install httpx``.

    python client.py http://localhost:8000 digit.png other.png --top 3
    python client.py http://localhost:8000 --row '{"text": "An excellent film."}'

prints one prediction per line. The environment variable LEYDEN_API_KEY holds the API key.
"""

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

ATTEMPTS = 5
"""Number of times that a request is sent at most."""

PAUSE = 1.0
"""Seconds until a request is sent again, unless the server states how many."""


class PredictionError(Exception):
    """The server has refused a request."""


def connect(url: str, *, key: str | None = None, timeout: float = 60) -> httpx.Client:
    """Return a client that keeps its connections open; close it, or use it in a ``with`` block.

    Args:
        url: Address of the server.
        key: API key; ``None`` if the server needs none.
        timeout: Seconds to wait for a connection, and for the next part of a response.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx.Client(base_url=url, headers=headers, timeout=timeout)


def predict_rows(
    client: httpx.Client, rows: Sequence[dict[str, Any]], *, top: int = 0
) -> list[dict[str, Any]]:
    """Return a prediction for each row.

    Args:
        client: Connection to the server.
        rows: Objects as the member ``row`` of ``/v1/model`` describes them.
        top: Number of the most probable classes in each prediction; 0 for none.

    Raises:
        PredictionError: If the server refuses the rows, or is overloaded for too long.
        httpx.TransportError: If the server cannot be reached.
    """
    return _predictions(_send(client, json={"inputs": list(rows), "top": top}))


def predict_files(
    client: httpx.Client, paths: Sequence[str | Path], *, top: int = 0
) -> list[dict[str, Any]]:
    """Return a prediction for each row of some files: images, sounds, texts or tables.

    The arguments and errors are those of ``predict_rows``.
    """
    files = [("file", (Path(path).name, Path(path).read_bytes())) for path in paths]
    return _predictions(_send(client, files=files, data={"top": str(top)}))


def _send(client: httpx.Client, *, attempts: int = ATTEMPTS, **body: Any) -> httpx.Response:
    """Send a request, again if that fails or the server is overloaded: it changes nothing there."""
    pause = PAUSE
    try:
        response = client.post("/v1/predict", **body)
    except (httpx.NetworkError, httpx.RemoteProtocolError):
        if attempts == 1:
            raise
    else:
        if attempts == 1 or response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            return response
        wanted = response.headers.get("Retry-After", "")
        pause = float(wanted) if wanted.isdecimal() else PAUSE
    time.sleep(pause * random.uniform(1, 1.5))  # noqa: S311  # not all clients at once
    return _send(client, attempts=attempts - 1, **body)


def _predictions(response: httpx.Response) -> list[dict[str, Any]]:
    if response.is_success:
        predictions: list[dict[str, Any]] = response.json()["predictions"]
        return predictions
    try:
        message = response.json()["error"]["message"]
    except (ValueError, LookupError, TypeError):  # of a proxy
        message = response.text[:200]
    raise PredictionError(f"{response.status_code} {response.reason_phrase}: {message}")


def main() -> None:
    """Print predictions for the files and rows of the command line."""
    parser = argparse.ArgumentParser(description="Ask leyden serve for predictions.")
    parser.add_argument("url", help="address of the server, such as http://localhost:8000")
    parser.add_argument("files", nargs="*", help="images, sounds, texts or tables")
    parser.add_argument("--row", action="append", default=[], type=json.loads, help="row as JSON")
    parser.add_argument("--top", default=0, type=int, help="number of the most probable classes")
    words = parser.parse_args()
    predictions = []
    try:
        with connect(words.url, key=os.environ.get("LEYDEN_API_KEY")) as client:
            if words.files:
                predictions += predict_files(client, words.files, top=words.top)
            if words.row:
                predictions += predict_rows(client, words.row, top=words.top)
    except (OSError, PredictionError, httpx.HTTPError) as error:
        sys.exit(f"{parser.prog}: {error}")
    sys.stdout.writelines(f"{json.dumps(prediction)}\n" for prediction in predictions)


if __name__ == "__main__":
    main()

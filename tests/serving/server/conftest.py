"""Servers to test: one in a process of its own, and one in this process with a network of NumPy."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from brightness import brightness, image_row
from leyden.data.image.reader import ImageReader
from leyden.serving.artefact import Artefact
from leyden.serving.server.app import create_app
from leyden.serving.server.metrics import Metrics
from leyden.serving.server.options import Options
from leyden.serving.server.service import Service
from leyden.tasks.readings import ClassReading


@pytest.fixture
def anyio_backend():
    """Run asynchronous tests with asyncio, as the server does."""
    return "asyncio"


@dataclass
class RunningServer:
    """A server in a process of its own.

    Attributes:
        process: The process.
        url: Address, such as ``http://127.0.0.1:41234``.
        log: File of its standard error, one JSON object per line.
    """

    process: subprocess.Popen
    url: str
    log: Path

    @property
    def port(self):
        return int(self.url.rpartition(":")[2])

    @property
    def messages(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def stop(self):
        """Send SIGTERM, and return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def example(exported):
    """Return the example in the record of the exported classifier."""
    return json.loads((exported / "model.json").read_text())["example"]


@pytest.fixture(scope="session")
def start_command(tmp_path_factory):
    """Start a command that serves on a free port; all servers are stopped at the end."""
    running = []

    def start(words, environment):
        log = tmp_path_factory.mktemp("server") / "log.jsonl"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                words,
                cwd=log.parent,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
            )
        running.append(process)
        url = process.stdout.readline().strip()
        assert url.startswith("http://"), log.read_text()
        return RunningServer(process, url, log)

    yield start
    for process in running:
        if process.poll() is None:
            process.terminate()
    for process in running:
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def start_server(start_command):
    """Start ``leyden serve`` with some words."""

    def start(*words, **environment):
        command = [sys.executable, "-m", "leyden", "serve", "port=0", *map(str, words)]
        return start_command(command, os.environ | environment)

    return start


@pytest.fixture(scope="session")
def server(start_server, exported):
    """Return a server of the exported classifier, which tests leave running."""
    return start_server(f"export={exported}")


IMAGES = ImageReader(shape=(1, 2, 2))

TONES = ClassReading(names=("dark", "light"))


@pytest.fixture
def make_service():
    """Return a function that makes a service, of 2 x 2 images by default, in this process."""

    def make(*, network=brightness, reader=IMAGES, reading=TONES, metrics=None, **options):
        response = {
            "predictions": [
                {
                    "class": "dark",
                    "probability": 1.0,
                    "top": [
                        {"class": "dark", "probability": 1.0},
                        {"class": "light", "probability": 0.0},
                    ],
                }
            ],
            "model": {"name": "brightness", "version": "1"},
        }
        record = {
            **response["model"],
            "row": reader.row_schema,
            "example": {"request": {"inputs": [image_row(0)]}, "response": response},
            "preprocessing": {},
            "reading": {},
        }
        return Service(
            artefact=Artefact(path=Path(), record=record, reader=reader, reading=reading),
            network=network,
            options=Options(**options),
            pool=ThreadPoolExecutor(2),
            observe_batch=(metrics or Metrics()).batch_rows.observe,
        )

    return make


@pytest.fixture
def make_app(make_service):
    """Return a function that makes the application of a server in this process."""

    def make(*, network=brightness, keys=(), **options):
        metrics = Metrics()
        service = make_service(network=network, metrics=metrics, **options)
        return create_app(service, metrics=metrics, options=service.options, keys=keys)

    return make


@pytest.fixture
def client_of():
    """Return a function that makes an asynchronous client of an application."""

    def make(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://server")

    return make


@pytest.fixture
def make_client(make_app, client_of):
    """Return a function that makes an asynchronous client of a server in this process."""
    return lambda **options: client_of(make_app(**options))

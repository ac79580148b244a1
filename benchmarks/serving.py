"""Requests per second, latency, cold start and memory of ``leyden serve`` and of other servers.

    python benchmarks/serving.py [LITSERVE]

LITSERVE is the folder of an environment with LitServe, ONNX Runtime, Pillow and python-multipart;
by default, that of the variable LEYDEN_LITSERVE. Without one LitServe is not measured.
"""

import asyncio
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from leyden.data.sets.digits import Digits
from leyden.serving.loading import open_export
from measure import export, spread, write_section

NOTE = (
    "The default CNN on the digits, exported with `leyden export`. One client process, beside the "
    "server on the same cores, holds 32 connections that send a request as soon as they have the "
    "answer to the last one: a PNG file in base64 in JSON, or a PNG file as multipart/form-data. "
    "All servers answer both with the five most probable classes, and receive the same bytes. The "
    "cold start is the CPU time of all processes of the server until the first answer; the memory "
    "is their resident memory after the load. Servers take turns; each is started once a round. "
    "The ratio is the median over rounds of Leyden's requests per second to those of the row in "
    "the same round. FastAPI {fastapi}, uvicorn {uvicorn}, ONNX Runtime {onnxruntime}."
)

ROUNDS = 5

CONNECTIONS = 32

WARM_UP, SECONDS = 1.0, 4.0

PATIENCE = 60.0
"""Seconds in which a server has to give its first answer."""

TICKS = os.sysconf("SC_CLK_TCK")

MODEL = """
import sys
from base64 import b64decode
from io import BytesIO

import numpy as np
import onnxruntime
from PIL import Image

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1


def load():
    return onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])


def pixels(content):
    image = Image.open(BytesIO(content)).convert("L").resize((8, 8))
    return np.asarray(image)[None]


def prediction(probabilities):
    top = [
        {"class": str(each), "probability": round(float(probabilities[each]), 6)}
        for each in np.argsort(-probabilities)[:5]
    ]
    return {**top[0], "top": top}
"""
"""How the other servers read images and answers; they take the arguments GRAPH and PORT."""

BARE = (
    MODEL
    + """
import uvicorn
from fastapi import FastAPI, Request

app = FastAPI()
session = load()


@app.post("/predict")
async def predict(request: Request):
    if request.headers["content-type"] == "application/json":
        rows = (await request.json())["inputs"]
        contents = [b64decode(row["image"]) for row in rows]
    else:
        contents = [await (await request.form())["file"].read()]
    images = np.stack([pixels(content) for content in contents])
    (answers,) = session.run(None, {"images": images})
    return {"predictions": [prediction(each) for each in answers]}


uvicorn.run(app, port=int(sys.argv[2]), log_level="warning")
"""
)

LITSERVE = (
    MODEL
    + """
import litserve


class Digits(litserve.LitAPI):
    def setup(self, device):
        self.session = load()

    def decode_request(self, request):
        if "file" in request:
            return pixels(request["file"].file.read())
        return pixels(b64decode(request["inputs"][0]["image"]))

    def batch(self, inputs):
        return np.stack(inputs)

    def predict(self, images):
        return self.session.run(None, {"images": images})[0]

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"predictions": [prediction(output)]}


if __name__ == "__main__":
    api = Digits(max_batch_size=64, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[2]), log_level="warning", generate_client_file=False)
"""
)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A server to measure.

    Attributes:
        words: Its command, in which ``PORT`` is replaced.
        path: Path of its predictions.
    """

    words: Sequence[str]
    path: str


@dataclass(frozen=True, kw_only=True)
class Load:
    """A server under load, for some seconds.

    Attributes:
        latencies: Seconds of each request.
        cpu: CPU seconds of the server.
    """

    latencies: Sequence[float]
    cpu: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / SECONDS

    def quantile(self, percent: int) -> float:
        """Return the milliseconds in which some per cent of the requests were answered."""
        return 1000 * statistics.quantiles(self.latencies, n=100)[percent - 1]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One start of a server.

    Attributes:
        cold: CPU seconds until the first answer.
        memory: Resident memory after the load, in MiB.
        loads: What has been measured under load, by form of the body.
    """

    cold: float
    memory: float
    loads: Mapping[str, Load]


class Connection(asyncio.Protocol):
    """A connection that sends a request whenever it has the answer to the last one.

    Args:
        requests: Requests, which it sends in turn.
        latencies: List to which the seconds of each request are appended.
    """

    def __init__(self, requests: Iterator[bytes], latencies: list[float]) -> None:
        self._requests = requests
        self._latencies = latencies
        self._received = b""
        self._length = 0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Receive a part of a response, and send the next request after the last part."""
        self._received += data
        if not self._length and (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            if not head.startswith(b"http/1.1 200 "):
                self._transport.abort()
                return
            _, _, rest = head.partition(b"content-length: ")
            self._length = end + 4 + int(rest.partition(b"\r\n")[0])
        if self._length and len(self._received) >= self._length:
            self._latencies.append(time.perf_counter() - self._sent)
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Note that the server has closed the connection."""
        self.lost = True

    def _send(self) -> None:
        self._received, self._length = b"", 0
        self._sent = time.perf_counter()
        self._transport.write(next(self._requests))

    def close(self) -> None:
        """Close the connection."""
        self._transport.abort()


async def load_server(port: int, process: int, requests: Sequence[bytes]) -> Load:
    """Send requests to a server over all connections.

    Args:
        port: Port of the server.
        process: Id of its process.
        requests: Requests, which each connection sends in turn.
    """
    loop = asyncio.get_running_loop()
    latencies: list[float] = []
    connections = []
    for number in range(CONNECTIONS):
        own = _cycle(requests, number)
        _, connection = await loop.create_connection(
            lambda own=own: Connection(own, latencies), "127.0.0.1", port
        )
        connections.append(connection)
    await asyncio.sleep(WARM_UP)
    latencies.clear()
    before = cpu_seconds(process)
    await asyncio.sleep(SECONDS)
    load = Load(latencies=latencies.copy(), cpu=cpu_seconds(process) - before)
    assert not any(connection.lost for connection in connections), "Some requests were refused."
    for connection in connections:
        connection.close()
    return load


def _cycle(requests: Sequence[bytes], start: int) -> Iterator[bytes]:
    while True:
        yield requests[start % len(requests)]
        start += 1


def json_request(path: str, content: Mapping[str, object]) -> bytes:
    """Return a request of JSON."""
    return _request(path, "application/json", json.dumps(content).encode())


def file_request(path: str, file: bytes) -> bytes:
    """Return a request with a file and the number of classes as a form."""
    parts = [
        b'Content-Disposition: form-data; name="top"\r\n\r\n5',
        b'Content-Disposition: form-data; name="file"; filename="digit.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + file,
    ]
    body = b"".join(b"--boundary\r\n" + part + b"\r\n" for part in parts) + b"--boundary--\r\n"
    return _request(path, "multipart/form-data; boundary=boundary", body)


def _request(path: str, content_type: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def measure(candidate: Candidate, requests: Mapping[str, Sequence[bytes]]) -> Measured:
    """Start a server, and send it the requests of each form."""
    port = free_port()
    words = [word.replace("PORT", str(port)) for word in candidate.words]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            wait_for_answer(port, requests["JSON"][0], process)
            cold = cpu_seconds(process.pid)
            loads = {
                form: asyncio.run(load_server(port, process.pid, each))
                for form, each in requests.items()
            }
            return Measured(cold=cold, memory=resident(process.pid), loads=loads)
        except BaseException:
            log.seek(0)
            print(log.read().decode()[-2000:], file=sys.stderr)
            raise
        finally:
            stop(process)


def wait_for_answer(port: int, request: bytes, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server that is starting answers a request."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(request)
            if client.recv(65536).startswith(b"HTTP/1.1 200 "):
                return
        time.sleep(0.02)
    raise SystemExit("The server does not answer.")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and the processes that it has started."""
    processes = family(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=20)
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    process.wait()


def family(process: int) -> list[int]:
    """Return the ids of a process and of all that it has started."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(each for child in children for each in family(int(child)))]


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process and of all that it has started."""
    seconds = 0.0
    for each in family(process):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        seconds += sum(map(int, fields[11:15])) / TICKS
    return seconds


def resident(process: int) -> float:
    """Return the resident memory in MiB of a process and of all that it has started."""
    statuses = [Path(f"/proc/{each}/status").read_text() for each in family(process)]
    return sum(int(status.split("VmRSS:")[1].split()[0]) for status in statuses) / 1024


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def digits(folder: Path) -> list[bytes]:
    """Return some digits as PNG files."""
    (rows,) = Digits(name="digits").read()
    reader = open_export(folder).artefact.reader
    return [reader.encode(rows.arrays, row) for row in range(256)]


def requests_to(path: str, files: Sequence[bytes]) -> dict[str, list[bytes]]:
    """Return the requests to a server by form."""
    rows = [{"image": b64encode(file).decode()} for file in files]
    return {
        "JSON": [json_request(path, {"inputs": [row], "top": 5}) for row in rows],
        "multipart": [file_request(path, file) for file in files],
    }


def candidates(folder: Path, litserve: str | None) -> dict[str, Candidate]:
    """Return the servers by name.

    Args:
        folder: The exported network.
        litserve: Environment of LitServe, if there is one.
    """
    serve = [sys.executable, "-m", "leyden", "serve", f"export={folder}", "port=PORT"]
    other = ["-c", BARE, str(folder / "model.onnx"), "PORT"]
    found = {
        "`leyden serve`": Candidate(words=serve, path="/v1/predict"),
        "`leyden serve batch_rows=1`": Candidate(
            words=[*serve, "batch_rows=1"], path="/v1/predict"
        ),
        "FastAPI + ONNX Runtime": Candidate(words=[sys.executable, *other], path="/predict"),
    }
    if litserve is None:
        print("LitServe is not measured: its environment is not given.")
        return found
    program = folder.parent / "litserve_digits.py"
    program.write_text(LITSERVE)  # its processes import the program
    python = Path(litserve, "bin", "python")
    words = [str(python), str(program), str(folder / "model.onnx"), "PORT"]
    return found | {f"LitServe {litserve_version(python)}": Candidate(words=words, path="/predict")}


def litserve_version(python: Path) -> str:
    """Return the version of LitServe in the environment of an interpreter."""
    program = "from importlib.metadata import version; print(version('litserve'))"
    return subprocess.check_output([python, "-c", program], text=True).strip()


def table(measured: Mapping[str, Sequence[Measured]]) -> list[list[str]]:
    """Return the rows of the table."""
    (own, *_) = measured.values()
    rows = []
    for name, rounds in measured.items():
        for form in rounds[0].loads:
            loads = [each.loads[form] for each in rounds]
            ratios = [
                one.loads[form].rate / load.rate for one, load in zip(own, loads, strict=True)
            ]
            rows.append(
                [
                    name,
                    form,
                    str(len(rounds)),
                    spread([load.rate for load in loads], 0),
                    f"{statistics.median(ratios):.2f}",
                    *(
                        spread([load.quantile(percent) for load in loads], 1)
                        for percent in (50, 99)
                    ),
                    spread([1000 * load.cpu / len(load.latencies) for load in loads]),
                    spread([each.cold for each in rounds]),
                    spread([each.memory for each in rounds], 0),
                ]
            )
    return rows


HEADER = (
    "server",
    "body",
    "n",
    "requests per s",
    "ratio",
    "p50, ms",
    "p99, ms",
    "CPU ms per request",
    "cold start, CPU s",
    "memory, MiB",
)


def main() -> None:
    """Measure all servers in turn, several times."""
    litserve = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LEYDEN_LITSERVE")
    with tempfile.TemporaryDirectory() as parent:
        folder = export(["trainer.max_epochs=3"], folder=Path(parent), name="digits")
        files = digits(folder)
        measured: dict[str, list[Measured]] = {}
        for _ in range(ROUNDS):
            for name, candidate in candidates(folder, litserve).items():
                done = measure(candidate, requests_to(candidate.path, files))
                measured.setdefault(name, []).append(done)
    packages = ("fastapi", "uvicorn", "onnxruntime")
    note = NOTE.format(**{package: version(package) for package in packages})
    write_section("Serving", note, HEADER, table(measured))


if __name__ == "__main__":
    main()

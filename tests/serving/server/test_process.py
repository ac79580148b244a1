"""A server in a process of its own: connections, signals and the command line."""

import asyncio
import json
import re
import shutil
import signal
import socket
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from raw_http import Load, error, exchange, post, status

pytestmark = pytest.mark.slow

TIMEOUT = 1.5
"""Seconds in which the server wants a request."""


@pytest.fixture(scope="module")
def strict(start_server, exported):
    """Return a server with little patience and few connections."""
    return start_server(f"export={exported}", f"timeout={TIMEOUT}", "max_connections=8")


def test_the_example_is_answered_as_recorded(server, example):
    answer = httpx.post(f"{server.url}/v1/predict", json=example["request"])

    assert answer.json() == example["response"]
    assert httpx.get(f"{server.url}/readyz").status_code == 200


def test_a_client_that_closes_its_side_is_answered(strict, example):
    body = json.dumps(example["request"]).encode()

    assert status(exchange(strict, post(body), ends=True)) == 200


@pytest.mark.parametrize("sent", [post(b"{", length=100), b"POST /v1/pre"])
def test_half_a_request_is_refused(strict, sent):
    received = exchange(strict, sent, ends=True)

    assert status(received) == 400
    assert error(received) == "The request ends before it is complete."


@pytest.mark.parametrize(
    "chunks",
    [
        [b"GET /healthz HTTP/1.1\r\nHost: s"],
        [b"GET /healthz HTTP/1.1\r\n", *[b"X: y\r\n"] * 8],
        [post(b"{", length=100)],
        [post(b"", length=100), *[b" "] * 8],
    ],
    ids=["headers", "trickling headers", "body", "trickling body"],
)
def test_slow_requests_are_given_up(strict, chunks):
    start = time.monotonic()

    received = exchange(strict, *chunks, pause=0.15 if len(chunks) > 1 else 0)

    assert time.monotonic() - start < 2 * TIMEOUT
    assert status(received) == 408
    assert "within 1.5 s" in error(received)


def test_an_idle_connection_is_closed(strict):
    assert exchange(strict) == b""


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(strict):
    received = exchange(strict, post(b"", "Expect: 100-continue", length=10**9))

    assert status(received) == 413


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: s\r\nX: " + b"y" * 100_000,
        b"nonsense\r\n\r\n" + b"x" * 1_000_000,
    ],
)
def test_what_is_not_http_is_refused(strict, sent):
    received = exchange(strict, sent)

    assert status(received) == 400
    assert error(received)


def test_old_clients_are_answered(strict):
    received = exchange(strict, b"GET /healthz HTTP/1.0\r\n\r\n")

    assert status(received) == 200


def test_a_client_that_does_not_read_is_given_up(strict):
    with closing(socket.create_connection(("127.0.0.1", strict.port), timeout=30)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sent = b"GET /openapi.json HTTP/1.1\r\nHost: s\r\n\r\n"
        with pytest.raises(OSError, match=r"reset|[Bb]roken"):  # noqa: PT012
            for _ in range(100_000):
                connection.sendall(sent)

    assert httpx.get(f"{strict.url}/healthz").status_code == 200


def test_too_many_connections_are_refused(strict):
    idle = [socket.create_connection(("127.0.0.1", strict.port)) for _ in range(8)]
    try:
        received = exchange(strict)
    finally:
        for connection in idle:
            connection.close()

    assert status(received) == 503
    assert b"Retry-After: 1" in received
    assert httpx.get(f"{strict.url}/healthz").status_code == 200


def test_sigterm_answers_every_request(start_server, exported, example):
    server = start_server(f"export={exported}")
    load = Load(server, example["request"])

    async def stop():
        await asyncio.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        async with httpx.AsyncClient() as client:
            readiness = await client.get(f"{server.url}/readyz")
        assert (readiness.status_code, readiness.headers["Retry-After"]) == (503, "1")
        await asyncio.to_thread(server.process.wait, 30)

    asyncio.run(load.run(stop()))

    assert server.process.returncode == 0
    assert load.lost == []
    assert {answered for answered, _ in load.answers} == {200}
    assert len(load.answers) > 50


def rename_classes(record):
    """Return the record of a network whose classes have longer names."""
    written = json.dumps(record).replace('"class": "', '"class": "digit ')
    other = json.loads(written) | {"version": "renamed"}
    other["reading"]["names"] = [f"digit {name}" for name in record["reading"]["names"]]
    return other


def test_sighup_replaces_the_network_under_load(start_server, exported, example, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "digits")
    server = start_server(f"export={folder}")
    load = Load(server, example["request"])
    record = json.loads((folder / "model.json").read_text())
    renamed = rename_classes(record)
    graph = (folder / "model.onnx").read_bytes()

    async def replace():
        steps = [
            ("model.json", json.dumps(renamed).encode()),
            ("model.onnx", graph[:1000]),  # cannot be read
            ("model.onnx", graph),
            ("model.json", b"{"),
            ("model.json", json.dumps({**record, "version": "last"}).encode()),
        ]
        for done, (name, content) in enumerate(steps, start=1):
            await asyncio.sleep(0.3)
            (folder / name).write_bytes(content)
            server.process.send_signal(signal.SIGHUP)
            async with asyncio.timeout(30):
                while sum("eplaced" in each["message"] for each in server.messages) < done:
                    await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)

    asyncio.run(load.run(replace()))

    assert load.lost == []
    assert {code for code, _ in load.answers} == {200}
    versions = [body["model"]["version"] for _, body in load.answers]
    assert sorted(set(versions), key=versions.index) == [record["version"], "renamed", "last"]
    for version, (_, body) in zip(versions, load.answers, strict=True):
        (prediction,) = body["predictions"]
        assert prediction["class"].startswith("digit ") == (version == "renamed")
    assert server.stop() == 0


def test_a_network_that_answers_differently_is_not_taken(start_server, exported, example, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "digits")
    server = start_server(f"export={folder}")
    record = json.loads((folder / "model.json").read_text())
    record["example"]["response"]["predictions"][0]["class"] = "other"
    for damaged in (json.dumps(record), "{"):
        (folder / "model.json").write_text(damaged)
        server.process.send_signal(signal.SIGHUP)
        time.sleep(1)

    answer = httpx.post(f"{server.url}/v1/predict", json=example["request"])

    assert answer.json() == example["response"]
    refused = [each for each in server.messages if "not replaced" in each["message"]]
    assert len(refused) == 2
    assert "answers its example with" in refused[0]["message"]


def test_keys_of_the_environment_and_of_a_file(start_server, exported, tmp_path):
    (tmp_path / "keys").write_text("first-secret\nsecond-secret\n")
    server = start_server(
        f"export={exported}", f"keys={tmp_path / 'keys'}", LEYDEN_API_KEYS="third-secret"
    )

    for key, expected in [("second-secret", 200), ("third-secret", 200), ("wrong-secret", 401)]:
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{server.url}/v1/model", headers=headers).status_code == expected
    assert "secret" not in server.log.read_text()


def test_other_addresses_are_warned_of(start_server, exported):
    server = start_server(f"export={exported}", "host=0.0.0.0")

    assert [each["level"] for each in server.messages if "No API keys" in each["message"]] == [
        "warning"
    ]


def test_a_run_is_exported_first(start_server, shared_run, example):
    server = start_server(f"run={shared_run}")

    answer = httpx.post(f"{server.url}/v1/predict", json=example["request"])

    assert answer.json()["predictions"] == example["response"]["predictions"]
    assert server.stop() == 0


def test_the_process_is_small(server):
    process = Path("/proc", str(server.process.pid))
    resident = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())[1]

    assert int(resident) / 1024 < 250
    assert "libtorch" not in (process / "maps").read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "Expected export=FOLDER"),
        (["export=nowhere"], "nowhere is not an exported network"),
        (["export={exported}", "port=x"], "port=x: expected an integer from 0 to 65535"),
        (["export={exported}", "batch_row=4"], "Did you mean 'batch_rows'?"),
        (["export={exported}", "lr=4"], "lr=4 is not understood"),
        (["export={exported}", "timeout=0"], "timeout=0: expected a number from 0.1 to 1000000000"),
        (["export={exported}", "keys=nowhere"], "keys=nowhere cannot be read"),
        (["export={exported}", "port={port}"], "Give another address or port"),
        (["export={exported}", "max_rows=9", "queue_rows=8"], "at least as many"),
        (["run=nowhere"], "nowhere"),
    ],
)
def test_wrong_words_are_refused(words, expected, leyden_process, exported, server, tmp_path):
    given = [word.format(exported=exported, port=server.port) for word in words]

    done = leyden_process("serve", *given, cwd=tmp_path)

    assert done.code == 2
    assert expected in done.err

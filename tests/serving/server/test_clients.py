"""The clients in docs/ work as they are written."""

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import httpx
import pytest

DOCS = Path(__file__).parents[3] / "docs"
CLIENT = DOCS / "deploy" / "client.py"
PAGE = (DOCS / "serve.md").read_text()


def blocks(language, *headings):
    """Return the blocks of some sections of the page."""
    sections = [
        PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0] for heading in headings
    ]
    return re.findall(rf"^```{language}\n(.*?)^```", "".join(sections), re.M | re.DOTALL)


def commands():
    """Return the commands that call the server, without line breaks."""
    lines = "".join(blocks("sh", "Requests", "Clients")).replace("\\\n", "").splitlines()
    return [line for line in lines if "localhost:8000" in line]


@pytest.fixture(scope="module")
def guarded(start_server, exported):
    """Return a server that asks for the key KEY."""
    return start_server(f"export={exported}", LEYDEN_API_KEYS="KEY")


@pytest.fixture
def folder(example, tmp_path):
    """Return a folder with what the commands take."""
    (row,) = example["request"]["inputs"]
    for name in ("digit.png", "other.png"):
        (tmp_path / name).write_bytes(b64decode(row["image"]))
    shutil.copy(CLIENT, tmp_path)
    return tmp_path


def shell(line, server, folder):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", line.replace("localhost:8000", server.url.removeprefix("http://"))],
        cwd=folder,
        env=os.environ | {"PATH": path, "LEYDEN_API_KEY": "KEY"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("line", commands())
def test_commands_get_what_they_ask_for(line, server, guarded, folder, example):
    done = shell(line, guarded if "KEY" in line else server, folder)

    assert done.returncode == 0, done.stderr
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    assert all("error" not in row for row in rows)
    if "digit.png" in line:
        predicted = rows[0].get("predictions", rows)
        (expected,) = example["response"]["predictions"]
        assert {row["class"] for row in predicted} == {expected["class"]}
        assert len(predicted) == 1 + ("other.png" in line)


@pytest.mark.slow
def test_the_lines_of_python_predict(guarded, folder):
    (block,) = blocks("python", "Clients")
    encoded = b64encode((folder / "digit.png").read_bytes())
    code = f"encoded = {encoded.decode()!r}\n{block}" + "    print(predict_rows(client, []))"

    done = shell(f"python - <<'END'\n{code}\nEND", guarded, folder)

    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.slow
def test_a_refusal_is_printed_with_its_reason(server, guarded, folder):
    (folder / "digit.png").write_bytes(b"no image")
    line = "python client.py http://localhost:8000 digit.png"

    refused = shell(line, server, folder)
    unknown = shell(f"LEYDEN_API_KEY= {line}", guarded, folder)

    assert refused.returncode == unknown.returncode == 1
    assert "422 Unprocessable" in refused.stderr
    assert "digit.png" in refused.stderr
    assert "401 Unauthorized: Expected an API key" in unknown.stderr


@pytest.fixture
def client(monkeypatch):
    """Return the module of the client, which pauses for no time, and a list of its pauses."""
    monkeypatch.syspath_prepend(CLIENT.parent)
    import client

    client.pauses = []
    monkeypatch.setattr(client.time, "sleep", client.pauses.append)
    yield client
    del sys.modules["client"]


def predict(client, *responses):
    """Predict a row with a server that gives these responses, the last one again and again."""
    left = list(responses)

    def answer(_):
        response = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(response, Exception):
            raise response
        return response

    with httpx.Client(transport=httpx.MockTransport(answer), base_url="http://server") as http:
        return client.predict_rows(http, [{"text": "An excellent film."}])


def overloaded(seconds):
    error = {"error": {"message": "Try again later."}}
    return httpx.Response(503, headers={"Retry-After": seconds}, json=error)


def test_requests_are_sent_again_after_the_time_that_the_server_wants(client):
    predictions = [{"class": "good"}]
    answer = httpx.Response(200, json={"predictions": predictions})

    assert predict(client, overloaded("7"), httpx.ConnectError("refused"), answer) == predictions
    first, second = client.pauses
    assert 7 <= first <= 1.5 * 7
    assert client.PAUSE <= second <= 1.5 * client.PAUSE


def test_clients_give_up(client):
    with pytest.raises(client.PredictionError, match="503 Service Unavailable: Try again later"):
        predict(client, overloaded("Sun, 29 Nov 2026 12:00:00 GMT"))
    assert len(client.pauses) == client.ATTEMPTS - 1
    with pytest.raises(httpx.ConnectError):
        predict(client, httpx.ConnectError("refused"))


def test_other_errors_are_final(client):
    with pytest.raises(client.PredictionError, match="502 Bad Gateway: <html>"):
        predict(client, httpx.Response(502, text="<html>"))
    assert client.pauses == []

"""Completions, of a language model that recites a text byte by byte."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from leyden.data.text.reader import TextReader
from leyden.data.text.vocabulary import SMALLEST, train_vocabulary
from leyden.serving.artefact import Artefact
from leyden.serving.server.app import create_app
from leyden.serving.server.completions import TextUntil
from leyden.serving.server.metrics import Metrics
from leyden.serving.server.options import Options
from leyden.serving.server.service import Service
from leyden.tasks.readings import ContinuationReading

pytestmark = pytest.mark.anyio

PATH = "/v1/completions"

SCRIPT = "naïve 文字 🎉 END of it"

PROMPT = "go"

READER = TextReader(
    vocabulary=train_vocabulary(["x"], size=SMALLEST, lowercase=False), max_tokens=64
)

PROMPT_TOKENS = READER.encode([PROMPT]).shape[1]

SCRIPT_TOKENS = READER.encode([SCRIPT])[0, 1:]  # without the space that begins it


class Reciter:
    """Predicts the next token of the script after the prompt, and counts its calls."""

    def __init__(self, seconds=0.0):
        self.calls = 0
        self.seconds = seconds

    def __call__(self, values):
        self.calls += 1
        time.sleep(self.seconds)
        lengths = (values["tokens"] != 0).sum(axis=1)
        probabilities = np.zeros((len(lengths), SMALLEST), np.float32)
        following = SCRIPT_TOKENS[(lengths - PROMPT_TOKENS) % len(SCRIPT_TOKENS)]
        probabilities[np.arange(len(lengths)), following] = 1
        return {"probabilities": probabilities}


@pytest.fixture
def make_reciter():
    """Return a function that makes the application of a server of the reciter."""

    def make(network=None, keys=(), **options):
        reading = ContinuationReading(
            vocab_size=SMALLEST, new_tokens=5, temperature=0.0, top_k=3, sampling_seed=0
        )
        response = {
            "predictions": [{"text": f"{PROMPT}naïv"}],
            "model": {"name": "reciter", "version": "1"},
        }
        record = {
            **response["model"],
            "row": READER.row_schema,
            "example": {"request": {"inputs": [{"text": PROMPT}]}, "response": response},
        }
        metrics = Metrics()
        service = Service(
            artefact=Artefact(path=Path(), record=record, reader=READER, reading=reading),
            network=network or Reciter(),
            options=Options(delay_ms=0, **options),
            pool=ThreadPoolExecutor(2),
            observe_batch=metrics.batch_rows.observe,
        )
        return create_app(service, metrics=metrics, options=service.options, keys=keys)

    return make


def events(answer):
    """Return the JSON of the events of a stream, the last of which is the end."""
    *others, end, rest = answer.text.split("\n\n")
    assert (end, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in others]


async def test_a_prompt_is_continued(make_reciter, client_of):
    request = {"model": "reciter", "prompt": PROMPT, "max_tokens": len(SCRIPT_TOKENS)}
    async with client_of(make_reciter()) as client:
        answer = (await client.post(PATH, json=request)).json()

    (choice,) = answer["choices"]
    assert choice == {"index": 0, "text": SCRIPT, "finish_reason": "length", "logprobs": None}
    assert answer["object"] == "text_completion"
    assert answer["model"] == "reciter"
    assert answer["usage"] == {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": len(SCRIPT_TOKENS),
        "total_tokens": PROMPT_TOKENS + len(SCRIPT_TOKENS),
    }


async def test_a_stream_is_the_same_text_in_whole_characters(make_reciter, client_of):
    request = {"prompt": PROMPT, "max_tokens": len(SCRIPT_TOKENS), "stream": True}
    async with client_of(make_reciter()) as client:
        answer = await client.post(PATH, json=request)

    assert answer.headers["content-type"].startswith("text/event-stream")
    pieces = events(answer)
    choices = [choice for piece in pieces for choice in piece["choices"]]
    assert [choice["text"] for choice in choices] == list(SCRIPT)
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(SCRIPT) - 1) + [
        "length"
    ]
    assert len({piece["id"] for piece in pieces}) == 1


async def test_a_torn_character_at_the_end_is_replaced(make_reciter, client_of):
    async with client_of(make_reciter()) as client:
        answer = (await client.post(PATH, json={"prompt": PROMPT, "max_tokens": 3})).json()

    assert answer["choices"][0]["text"] == "na�"


@pytest.mark.parametrize("stop", ["END", ["it", "END", "never"]])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_completion_ends_before_a_stop(make_reciter, client_of, stop, stream):
    network = Reciter()
    request = {"prompt": PROMPT, "max_tokens": 60, "stop": stop, "stream": stream}
    async with client_of(make_reciter(network)) as client:
        answer = await client.post(PATH, json=request)

    pieces = events(answer) if stream else [answer.json()]
    assert "".join(piece["choices"][0]["text"] for piece in pieces) == "naïve 文字 🎉 "
    assert pieces[-1]["choices"][0]["finish_reason"] == "stop"
    assert network.calls == len(READER.encode(["naïve 文字 🎉 END"])[0, 1:])


async def test_the_beginning_of_a_stop_at_the_end_is_text(make_reciter, client_of):
    async with client_of(make_reciter()) as client:
        answer = (await client.post(PATH, json={"prompt": PROMPT, "stop": "v never"})).json()

    assert answer["choices"][0]["text"] == "naïv"
    assert answer["choices"][0]["finish_reason"] == "length"


def test_what_may_become_a_stop_is_held_back():
    text = TextUntil(["abc", "bd"])

    assert [text.extend(piece) for piece in ("xa", "b", "a", "bd")] == ["x", "", "ab", "a"]
    assert text.found


async def test_settings_are_those_of_the_export_by_default(make_reciter, client_of):
    async with client_of(make_reciter()) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        described = paths[PATH]["post"]
        request = described["requestBody"]["content"]["application/json"]["example"]
        answer = (await client.post(PATH, json=request)).json()
        predicted = (await client.post("/v1/predict", json={"inputs": [{"text": PROMPT}]})).json()

    example = described["responses"]["200"]["content"]["application/json"]["example"]
    assert answer["choices"] == example["choices"]
    assert answer["usage"] == example["usage"]
    assert predicted["predictions"] == [{"text": PROMPT + answer["choices"][0]["text"]}]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"prompt": None}, "prompt: expected a string"),
        ({"prompt": ["a", "b"]}, "prompt: expected a string"),
        ({"prompt": "  "}, "prompt: holds no text"),
        ({"prompt": "a" * 64}, "prompt: expected at most 64 tokens"),
        ({"prompt": "a" * 100_000}, "prompt: expected at most 64 tokens"),
        ({"max_tokens": 0}, "max_tokens: expected an integer of at least 1"),
        ({"max_tokens": 1.5}, "max_tokens: expected an integer"),
        ({"max_tokens": True}, "max_tokens: expected an integer"),
        ({"max_tokens": 67}, "max_tokens: expected at most 66 after this prompt"),
        ({"temperature": -1}, "temperature: expected a number of at least 0"),
        ({"temperature": "hot"}, "temperature: expected a number"),
        ({"top_k": 0}, "top_k: expected an integer of at least 1"),
        ({"seed": -1}, "seed: expected an integer of at least 0"),
        ({"stream": 1}, "stream: expected true or false"),
        ({"stop": 3}, "stop: expected a string"),
        ({"stop": [""]}, "stop: expected strings of at least one character"),
        ({"stop": ["a"] * 5}, "array of at most 4"),
        ({"n": 2}, "n: only 1 is supported"),
        ({"max_token": 3}, "Did you mean 'max_tokens'?"),
    ],
)
async def test_a_wrong_request_is_refused(make_reciter, client_of, changed, expected):
    async with client_of(make_reciter()) as client:
        answer = await client.post(PATH, json={"prompt": PROMPT} | changed)

    assert answer.status_code == 422
    assert expected in answer.json()["error"]["message"]


async def test_members_that_change_nothing_are_accepted(make_reciter, client_of):
    neutral = {"n": 1, "top_p": 1.0, "echo": False, "logprobs": None, "user": "me"}
    sampling = {"temperature": 5.0, "top_k": 1, "seed": 3}
    async with client_of(make_reciter()) as client:
        answer = await client.post(PATH, json={"prompt": PROMPT, **neutral, **sampling})

    assert answer.json()["choices"][0]["text"] == "naïv"


async def test_other_models_and_networks_have_no_completions(make_reciter, make_app, client_of):
    async with client_of(make_reciter()) as client:
        other = await client.post(PATH, json={"prompt": PROMPT, "model": "davinci"})
    async with client_of(make_app()) as client:
        images = await client.post(PATH, json={"prompt": PROMPT})

    assert (other.status_code, images.status_code) == (404, 404)
    assert "Expected 'reciter'" in other.json()["error"]["message"]
    assert "is not a language model" in images.json()["error"]["message"]


async def test_the_time_is_limited(make_reciter, client_of):
    app = make_reciter(Reciter(seconds=0.05), timeout=0.2)
    async with client_of(app) as client:
        request = {"prompt": PROMPT, "max_tokens": 60}
        whole = await client.post(PATH, json=request)
        stream = await client.post(PATH, json=request | {"stream": True})

    assert whole.status_code == 503
    assert stream.status_code == 200
    error = json.loads(stream.text.split("\n\n")[-2].removeprefix("data: "))
    assert "0.2 s" in error["error"]["message"]


async def test_a_stream_ends_when_its_client_has_gone(make_reciter):
    network = Reciter(seconds=0.01)
    app = make_reciter(network)
    body = json.dumps({"prompt": PROMPT, "max_tokens": 60, "stream": True}).encode()
    scope = {
        "type": "http",
        "asgi": {"spec_version": "2.3"},
        "method": "POST",
        "path": PATH,
        "query_string": b"",
        "headers": [(b"content-length", str(len(body)).encode())],
    }
    messages = [{"type": "http.request", "body": body}]

    async def receive():
        if messages:
            return messages.pop()
        while network.calls < 3:
            await asyncio.sleep(0.001)
        return {"type": "http.disconnect"}

    async def send(message):
        pass

    await app(scope, receive, send)
    await asyncio.sleep(0.05)

    assert network.calls < 10


async def test_completions_of_several_clients_are_batched(make_reciter, client_of):
    network = Reciter(seconds=0.02)
    async with client_of(make_reciter(network)) as client:
        answers = await asyncio.gather(
            *(client.post(PATH, json={"prompt": PROMPT, "max_tokens": 10}) for _ in range(8))
        )

    assert {answer.json()["choices"][0]["text"] for answer in answers} == {SCRIPT[:7]}
    assert network.calls < 30

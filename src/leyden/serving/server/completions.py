"""Completions of a language model, whole or token by token, in the form of OpenAI's API."""

import asyncio
import json
import math
import time
from codecs import getincrementaldecoder
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from leyden.arrays import Arrays
from leyden.data.readers import Reader
from leyden.errors import UserError, did_you_mean
from leyden.serving.server.bodies import parse_json
from leyden.serving.server.errors import RequestError, error_body, unprocessable
from leyden.serving.server.limits import in_time
from leyden.serving.server.logs import REQUEST_ID
from leyden.serving.server.service import Service, service_of
from leyden.tasks.readings import ContinuationReading

if TYPE_CHECKING:  # servers of other data do without it
    from leyden.data.text.reader import TextReader

router = APIRouter()

PATH = "/v1/completions"

SAMPLING = {
    "max_tokens": ("new_tokens", "integer", 1),
    "temperature": ("temperature", "number", 0),
    "top_k": ("top_k", "integer", 1),
    "seed": ("sampling_seed", "integer", 0),
}
"""Setting of the reading, its type in JSON, and its least value, by member of a request."""

TYPES: Mapping[str, tuple[str, Any]] = {
    "integer": ("an integer", int),
    "number": ("a number", int | float),
}
"""Noun and Python's types, by type of JSON."""

NEUTRAL = {
    "best_of": 1,
    "echo": False,
    "frequency_penalty": 0,
    "n": 1,
    "presence_penalty": 0,
    "top_p": 1,
}
"""Members of OpenAI's API that clients send unasked, with the value that changes nothing."""

MEMBERS = ("model", "prompt", *SAMPLING, "stop", "stream", *NEUTRAL, "user")

MOST_STOPS = 4
"""Largest number of sequences that end a completion."""


@dataclass(frozen=True, kw_only=True)
class CompletionRequest:
    """A text to continue.

    Attributes:
        values: ``tokens`` of the prompt, ``(1, length)``.
        token_bytes: UTF-8 of each token of the vocabulary.
        reading: The reading of the network with the settings of the request.
        stops: Sequences, before the first of which the completion ends.
        stream: Whether the completion is sent as it is computed.
    """

    values: Arrays
    token_bytes: Sequence[bytes]
    reading: ContinuationReading
    stops: Sequence[str]
    stream: bool


@dataclass(frozen=True, kw_only=True)
class Piece:
    """A piece of a completion.

    Attributes:
        text: Whole characters.
        tokens: Number of tokens of the completion so far.
        finish_reason: ``stop`` or ``length`` for the last piece, otherwise ``None``.
    """

    text: str
    tokens: int
    finish_reason: str | None = None


@router.post(PATH, summary="Continue a text", tags=["Language models"])
async def complete(request: Request) -> Response:
    """Continue a prompt, token by token with ``stream``."""
    service = service_of(request)
    reading = service.artefact.reading
    if not isinstance(reading, ContinuationReading):
        raise RequestError(
            HTTPStatus.NOT_FOUND,
            f"{service.model['name']} is not a language model. POST /v1/predict predicts its rows.",
        )
    body = await request.body()
    decode = partial(decode_completion, body, model=service.model["name"], reading=reading)
    asked = await service.decode(decode, size=len(body))
    pieces = _generate(service, asked)
    first = await anext(pieces)  # an error up to here has a status of its own
    envelope = {
        "id": f"cmpl-{REQUEST_ID.get()}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": service.model["name"],
    }
    if not asked.stream:
        whole = _join([first, *[piece async for piece in pieces]])
        usage = _count_tokens(asked, whole)
        return JSONResponse({**envelope, "choices": [_choice(whole)], "usage": usage})
    return StreamingResponse(
        _events(envelope, first, pieces),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache"},
    )


def decode_completion(
    body: bytes, reader: Reader, *, model: str, reading: ContinuationReading
) -> CompletionRequest:
    """Decode a request for a completion.

    Args:
        body: The JSON of the request.
        reader: Reader of texts.
        model: Name of the network, which the request may state.
        reading: Settings that the request does not change.

    Raises:
        RequestError: If the request cannot be answered.
    """
    content = {name: value for name, value in parse_json(body).items() if value is not None}
    _check_members(content, model)
    texts = cast("TextReader", reader)  # as that of every language model
    values = _encode_prompt(content.get("prompt"), texts)
    settings = {
        setting: _number(content[name], name, kind, least)
        for name, (setting, kind, least) in SAMPLING.items()
        if name in content
    }
    longest = texts.max_tokens + reading.new_tokens - values["tokens"].shape[1]
    asked = replace(reading, **settings)
    if asked.new_tokens > longest:
        raise unprocessable(
            f"max_tokens: expected at most {longest} after this prompt, got {asked.new_tokens}."
        )
    return CompletionRequest(
        values=values,
        token_bytes=texts.token_bytes,
        reading=asked,
        stops=_read_stops(content.get("stop", [])),
        stream=_boolean(content.get("stream", False), "stream"),
    )


def _check_members(content: Mapping[str, Any], model: str) -> None:
    for name, value in content.items():
        if name not in MEMBERS:
            raise unprocessable(f"{name!r:.80} is not supported.{did_you_mean(name, MEMBERS)}")
        if name in NEUTRAL and value != NEUTRAL[name]:
            raise unprocessable(
                f"{name}: only {json.dumps(NEUTRAL[name])} is supported, got {value!r:.80}."
            )
    if content.get("model", model) != model:
        raise RequestError(
            HTTPStatus.NOT_FOUND,
            f"model {content['model']!r:.80} is not served. Expected {model!r}.",
        )


def _encode_prompt(prompt: object, reader: "TextReader") -> Arrays:
    """Return the tokens of a prompt, none of which is cut off."""
    if not isinstance(prompt, str):
        raise unprocessable(f"prompt: expected a string, got {prompt!r:.80}.")
    most = reader.max_tokens
    is_long = len(prompt) > reader.longest  # encoding a prompt of megabytes takes seconds
    if is_long or len(reader.tokenizer.encode(prompt, add_special_tokens=False)) > most:
        raise unprocessable(f"prompt: expected at most {most} tokens, got more.")
    inputs = reader.decode_rows([{"text": prompt}])
    for item in inputs.rejected:
        raise unprocessable(f"prompt: {item.reason}.")
    return inputs.fields


def _number(value: Any, name: str, kind: str, least: int) -> Any:
    noun, types = TYPES[kind]
    is_number = isinstance(value, types) and not isinstance(value, bool)
    if not is_number or not least <= value < math.inf:
        raise unprocessable(f"{name}: expected {noun} of at least {least}, got {value!r:.80}.")
    return value


def _boolean(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise unprocessable(f"{name}: expected true or false, got {value!r:.80}.")
    return value


def _read_stops(given: object) -> list[str]:
    stops = [given] if isinstance(given, str) else given
    if not isinstance(stops, list) or len(stops) > MOST_STOPS:
        raise unprocessable(
            f"stop: expected a string, or an array of at most {MOST_STOPS}, got {stops!r:.80}."
        )
    for stop in stops:
        if not isinstance(stop, str) or not stop:
            raise unprocessable(
                f"stop: expected strings of at least one character, got {stop!r:.80}."
            )
    return stops


async def _generate(service: Service, asked: CompletionRequest) -> AsyncGenerator[Piece, None]:
    """Yield a completion piece by piece.

    Raises:
        RequestError: If too many rows wait for the network, or the time is up.
    """
    start = asyncio.get_running_loop().time()
    texts = asked.reading.begin(asked.values)
    characters = getincrementaldecoder("utf-8")("replace")
    until = TextUntil(asked.stops)
    for count in range(1, asked.reading.new_tokens + 1):
        async with in_time(service.options.timeout, since=start):
            (token,) = texts.extend(await service.answer(texts.values))
        is_last = count == asked.reading.new_tokens
        text = until.extend(characters.decode(asked.token_bytes[token], is_last))
        if until.found:
            yield Piece(text=text, tokens=count, finish_reason="stop")
            return
        if is_last:
            yield Piece(text=text + until.held, tokens=count, finish_reason="length")
        elif text:
            yield Piece(text=text, tokens=count)


class TextUntil:
    """Ends a text that comes in pieces before the first of some sequences.

    Args:
        stops: The sequences.

    Attributes:
        found: Whether one of them has come.
        held: End of the text that may be the beginning of one of them.

    Example:
        >>> text = TextUntil(["END"])
        >>> text.extend("one E"), text.extend("N route EN"), text.extend("D two"), text.found
        ('one ', 'EN route ', '', True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.found = False
        self.held = ""
        self._stops = stops

    def extend(self, piece: str) -> str:
        """Return what is certain to be text once a piece has come."""
        text = self.held + piece
        ends = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if ends:
            self.found = True
            return text[: min(ends)]
        size = max((_overlap(text, stop) for stop in self._stops), default=0)
        self.held = text[len(text) - size :]
        return text[: len(text) - size]


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of a text with which a sequence begins."""
    longest = min(len(text), len(stop) - 1)
    return next((size for size in range(longest, 0, -1) if text.endswith(stop[:size])), 0)


def _join(pieces: Sequence[Piece]) -> Piece:
    """Return all pieces of a completion as one."""
    return replace(pieces[-1], text="".join(piece.text for piece in pieces))


def _count_tokens(asked: CompletionRequest, whole: Piece) -> dict[str, int]:
    prompt = asked.values["tokens"].shape[1]
    return {
        "prompt_tokens": prompt,
        "completion_tokens": whole.tokens,
        "total_tokens": prompt + whole.tokens,
    }


async def _events(
    envelope: Mapping[str, Any], first: Piece, rest: AsyncGenerator[Piece, None]
) -> AsyncIterator[bytes]:
    """Yield the pieces of a completion as Server-Sent Events; an error is the last of them."""
    async with aclosing(rest):
        yield _chunk(envelope, first)
        try:
            async for piece in rest:
                yield _chunk(envelope, piece)
        except (RequestError, UserError) as error:
            yield _event(error_body(str(error)))
            return
    yield _event(b"[DONE]")


def _event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


def _chunk(envelope: Mapping[str, Any], piece: Piece) -> bytes:
    return _event(json.dumps({**envelope, "choices": [_choice(piece)]}).encode())


def _choice(piece: Piece) -> dict[str, Any]:
    return {
        "index": 0,
        "text": piece.text,
        "finish_reason": piece.finish_reason,
        "logprobs": None,
    }

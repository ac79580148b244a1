"""Readings that take long, or call the network several times."""

import asyncio
import time

import numpy as np
import pytest

from leyden.data.inputs import Inputs
from leyden.data.text.reader import TextReader
from leyden.data.text.vocabulary import train_vocabulary
from leyden.tasks.readings import ContinuationReading, TranscriptReading

pytestmark = pytest.mark.anyio

READER = TextReader(
    vocabulary=train_vocabulary(["a b c d"], size=300, lowercase=False), max_tokens=64
)

STEPS = 5

READING = ContinuationReading(
    vocab_size=300, new_tokens=STEPS, temperature=0, top_k=1, sampling_seed=0
)


class Repeating:
    """Predicts the last token of each text again; records the number of rows of each call."""

    def __init__(self, *, seconds=0.0):
        self.rows = []
        self.seconds = seconds

    def __call__(self, values):
        time.sleep(self.seconds)
        tokens = values["tokens"]
        self.rows.append(len(tokens))
        last = tokens[np.arange(len(tokens)), (tokens != 0).sum(axis=1) - 1]
        return {"probabilities": np.eye(300, dtype=np.float32)[last]}


async def test_texts_of_several_requests_are_continued_together(make_service):
    network = Repeating()
    service = make_service(network=network, reader=READER, reading=READING, delay_ms=50)
    texts = [READER.decode_rows([{"text": text}]) for text in ("a b", "c", "d a b c")]

    answers = await asyncio.gather(*(service.predict(text) for text in texts))

    (text,), *_ = answers
    assert text["text"].startswith("a b")
    assert text["text"].count("b") == 1 + STEPS
    assert len(network.rows) < STEPS * len(texts)


async def test_the_text_of_a_cancelled_request_is_not_continued(make_service):
    network = Repeating(seconds=0.05)
    service = make_service(network=network, reader=READER, reading=READING, delay_ms=0)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.07):
            await service.predict(READER.decode_rows([{"text": "a"}]))
    await asyncio.sleep(0.3)

    assert len(network.rows) < STEPS
    assert service.queued_rows == 0


async def test_transcripts_are_read(make_service):
    def spell(values):
        spoken = values["images"].reshape(len(values["images"]), -1)  # a token in each pixel
        return {"log_probabilities": np.log(np.eye(3, dtype=np.float32)[spoken] + 1e-6)}

    reading = TranscriptReading(tokens=["", "a", "b"])
    service = make_service(network=spell, reading=reading, batch_rows=1)
    pixels = np.array([[1, 0, 2, 2], [1, 1, 0, 1]], np.uint8).reshape(2, 1, 2, 2)

    predicted = await service.predict(Inputs(names=["x", "y"], fields={"images": pixels}))

    assert predicted == [{"transcript": "ab"}, {"transcript": "aa"}]


async def test_raw_answers_of_many_rows_are_joined(make_service):
    pixels = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1).repeat(2, axis=2).repeat(2, axis=3)

    answers = await make_service(batch_rows=2).answer({"images": pixels})

    assert answers["probabilities"][:, 1] * 255 == pytest.approx(np.arange(7))

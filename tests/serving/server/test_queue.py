import asyncio
from threading import Event

import numpy as np
import pytest

from leyden.data.inputs import join_values
from leyden.schema import Field
from leyden.serving.server.errors import RequestError
from leyden.serving.server.queue import RowQueue

pytestmark = pytest.mark.anyio

FIELD = Field(name="x", dtype="int64", shape=("batch", "length"), meaning="")


class Doubling:
    """Doubles its input, records the shapes of batches, and fails for negative numbers.

    Attributes:
        shapes: Shape of each batch.
        allowed: Is waited for before each batch.
    """

    def __init__(self):
        self.shapes = []
        self.allowed = Event()
        self.allowed.set()

    def __call__(self, values):
        assert self.allowed.wait(10)
        self.shapes.append(values["x"].shape)
        if (values["x"] < 0).any():
            raise ValueError("negative")
        return {"y": 2 * values["x"]}


def rows(*numbers, length=1):
    return {"x": np.repeat(np.array(numbers)[:, np.newaxis], length, axis=1)}


def queue_of(network, **settings):
    return RowQueue(
        network=network,
        join=lambda parts: join_values([FIELD], parts),
        observe=lambda _: None,
        **{"batch_rows": 4, "delay": 0.05, "most_rows": 100} | settings,
    )


def numbers(parts):
    return [row[0] for part in parts for row in part["y"].tolist()]


async def test_rows_of_several_requests_are_computed_together():
    network = Doubling()
    queue = queue_of(network)

    answers = await asyncio.gather(*(queue.answer(rows(i, 10 + i)) for i in range(4)))

    assert [numbers(parts) for parts in answers] == [[2 * i, 20 + 2 * i] for i in range(4)]
    assert network.shapes == [(4, 1), (4, 1)]
    assert queue.rows == 0


async def test_shorter_rows_are_padded():
    network = Doubling()
    queue = queue_of(network)

    short, long = await asyncio.gather(
        queue.answer(rows(1, length=2)), queue.answer(rows(2, length=5))
    )

    assert network.shapes == [(2, 5)]
    assert short[0]["y"].tolist() == [[2, 2, 0, 0, 0]]
    assert long[0]["y"].tolist() == [[4] * 5]


async def test_batches_of_large_rows_are_smaller(monkeypatch):
    monkeypatch.setattr("leyden.serving.server.queue.BATCH_BYTES", 8 * 40)
    network = Doubling()
    queue = queue_of(network, batch_rows=64)

    await asyncio.gather(
        queue.answer(rows(1, 2, 3, length=20)),
        *(queue.answer(rows(i, length=1)) for i in range(5)),
        queue.answer(rows(4, length=100)),
    )

    assert network.shapes == [(2, 20), (2, 20), (4, 1), (1, 100)]


@pytest.mark.parametrize("batch_rows", [1, 3, 7, 64])
async def test_every_row_is_answered_in_batches_of_any_size(batch_rows):
    network = Doubling()
    queue = queue_of(network, batch_rows=batch_rows, delay=0)
    sizes = [1, 5, 2, 9, 1, 1, 3]

    answers = await asyncio.gather(*(queue.answer(rows(*range(size))) for size in sizes))

    assert [numbers(parts) for parts in answers] == [[2 * i for i in range(n)] for n in sizes]
    assert max(shape[0] for shape in network.shapes) <= batch_rows
    assert sum(shape[0] for shape in network.shapes) == sum(sizes)


async def test_a_row_waits_for_others_no_longer_than_the_delay():
    loop = asyncio.get_running_loop()
    start = loop.time()

    await queue_of(Doubling(), delay=0.1).answer(rows(1))
    alone = loop.time() - start
    await queue_of(Doubling(), delay=10).answer(rows(1, 2, 3, 4))
    full = loop.time() - start - alone

    assert 0.1 <= alone < 1
    assert full < 1


async def test_a_bad_request_fails_alone():
    network = Doubling()
    queue = queue_of(network, batch_rows=8)

    good, bad, other = await asyncio.gather(
        queue.answer(rows(1)), queue.answer(rows(-1)), queue.answer(rows(2)), return_exceptions=True
    )

    assert (numbers(good), numbers(other)) == ([2], [4])
    assert isinstance(bad, ValueError)
    assert numbers(await queue.answer(rows(3))) == [6]


async def test_too_many_rows_are_refused_at_once():
    network = Doubling()
    network.allowed.clear()
    queue = queue_of(network, most_rows=6, delay=0)
    first = asyncio.create_task(queue.answer(rows(1, 2, 3, 4)))
    await asyncio.sleep(0.02)  # its batch begins, and its rows wait no longer
    second = asyncio.create_task(queue.answer(rows(5, 6, 7, 8, 9)))
    await asyncio.sleep(0)

    with pytest.raises(RequestError, match="5 rows wait") as refused:
        await queue.answer(rows(1, 2))

    assert refused.value.status == 503
    assert refused.value.headers["Retry-After"]
    network.allowed.set()
    assert numbers(await first) + numbers(await second) == [2 * i for i in range(1, 10)]


async def test_rows_whose_caller_has_given_up_are_not_computed():
    network = Doubling()
    network.allowed.clear()
    queue = queue_of(network, batch_rows=1, delay=0)
    first = asyncio.create_task(queue.answer(rows(1)))
    given_up = asyncio.create_task(queue.answer(rows(2, 3, 4)))
    last = asyncio.create_task(queue.answer(rows(5)))
    await asyncio.sleep(0.02)
    assert queue.rows == 4

    given_up.cancel()
    await asyncio.wait([given_up])

    assert queue.rows == 1
    network.allowed.set()
    assert numbers(await first) + numbers(await last) == [2, 10]
    assert len(network.shapes) == 2


async def test_a_queue_of_which_all_have_given_up_works_again():
    network = Doubling()
    queue = queue_of(network, delay=0.5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await queue.answer(rows(1))
    assert queue.rows == 0

    assert numbers(await queue.answer(rows(2))) == [4]
    assert network.shapes == [(1, 1)]

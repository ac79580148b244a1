"""The network that is served: it decodes rows, queues them, and reads the answers."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from starlette.requests import Request

from leyden.arrays import Arrays
from leyden.data.inputs import Inputs, join_values
from leyden.data.readers import Limits, Reader
from leyden.serving.artefact import Artefact, Network
from leyden.serving.predictor import as_rows
from leyden.serving.server.options import Options
from leyden.serving.server.queue import RowQueue
from leyden.tasks.readings import ContinuationReading, TranscriptReading

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

SMALL = 8 * 2**10
"""Largest size in bytes of a body that the event loop decodes: a thread would cost more."""


def service_of(request: Request) -> "Service":
    """Return the service of the application when a request begins."""
    service: Service = request.app.state.service
    return service


class Service:
    """An exported network that answers requests.

    A request keeps the service that it began with, so that another one can replace it.

    Args:
        artefact: Description of the network.
        network: Runs its graph; it is called by one thread.
        options: Sizes of the queue, and limits.
        pool: Threads that decode rows and read slow answers.
        observe_batch: Called with the number of rows of each batch.
    """

    def __init__(
        self,
        *,
        artefact: Artefact,
        network: Network,
        options: Options,
        pool: Executor,
        observe_batch: Callable[[int], None],
    ) -> None:
        self.artefact = artefact
        self.options = options
        self._pool = pool
        self._reader = artefact.reader.limited(
            Limits(pixels=options.max_pixels, seconds=options.max_seconds, rows=options.max_rows)
        )
        self._queue = RowQueue(
            network=network,
            join=partial(join_values, artefact.reader.values),
            batch_rows=options.batch_rows,
            delay=options.delay_ms / 1000,
            most_rows=options.queue_rows,
            observe=observe_batch,
        )

    @property
    def model(self) -> dict[str, Any]:
        """Name and version of the network, which are in every response."""
        return {name: self.artefact.record[name] for name in ("name", "version")}

    @property
    def queued_rows(self) -> int:
        """Number of rows that wait for the network."""
        return self._queue.rows

    async def decode(self, function: Callable[[Reader], Result], *, size: int) -> Result:
        """Decode a body, in a thread unless it is small.

        Args:
            function: Decodes the body, with a reader that has the limits of the server.
            size: Size of the body in bytes.
        """
        if size <= SMALL:
            return function(self._reader)
        return await self._in_thread(function, self._reader)

    async def answer(self, values: Arrays) -> Arrays:
        """Return the raw answers of the graph, ``(rows, ...)`` by name.

        Those of a request of more than ``batch_rows`` rows are padded with zeros to one shape.

        Args:
            values: Arrays ``(rows, ...)`` by name, as ``artefact.reader.values`` describes them.

        Raises:
            RequestError: If too many rows wait for the network.
            UserError: If the network cannot compute these values.
        """
        parts = await self._queue.answer(values)
        return join_values(self.artefact.reading.answers, parts)

    async def predict(self, inputs: Inputs, *, top: int = 0) -> list[dict[str, Any]]:
        """Return a prediction for each row.

        Args:
            inputs: Decoded rows.
            top: Number of the most probable classes in each prediction; 0 for none.

        Raises:
            RequestError: If too many rows wait for the network.
            UserError: If the network cannot compute these values.
        """
        if not inputs.names:
            return []
        parts = await self._queue.answer(inputs.fields)
        return list(as_rows(await self.read(inputs.fields, parts, top=top)))

    async def read(
        self, values: Arrays, parts: Sequence[Arrays], *, top: int = 0
    ) -> dict[str, list[Any]]:
        """Return what answers mean, as columns of plain values.

        Args:
            values: Arrays ``(rows, ...)`` by name.
            parts: Answers of the graph to them, in one part or several. A language model is called
                again, for one token after another.
            top: As for ``predict``.
        """
        reading = self.artefact.reading
        if isinstance(reading, ContinuationReading):
            columns = await self._continue(reading, values, join_values(reading.answers, parts))
            return self._reader.readable(columns)
        if isinstance(reading, TranscriptReading):  # its search takes long
            return await self._in_thread(self._read, parts, top)
        return self._read(parts, top)

    def _read(self, parts: Sequence[Arrays], top: int) -> dict[str, list[Any]]:
        columns = [self.artefact.reading.columns(answers, top=top) for answers in parts]
        return self._reader.readable(
            {name: [value for each in columns for value in each[name]] for name in columns[0]}
        )

    async def _continue(
        self, reading: ContinuationReading, values: Arrays, answers: Arrays
    ) -> dict[str, list[Any]]:
        texts = reading.begin(values)
        texts.extend(answers)
        for _ in range(reading.new_tokens - 1):
            texts.extend(await self.answer(texts.values))
        return {"text": texts.ids}

    async def _in_thread(
        self,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(function, *args, **kwargs))

"""The queue in front of the network, which computes the rows of several requests at once."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

from leyden.arrays import Arrays, count_rows, take_rows
from leyden.serving.artefact import Network
from leyden.serving.server.errors import overloaded

BATCH_BYTES = 32 * 2**20
"""Largest size of the values of a batch of several rows: the network needs many times as much."""


@dataclass(eq=False, kw_only=True)
class Entry:
    """Rows of one request, at most a batch, that wait for answers.

    Attributes:
        values: Arrays ``(rows, ...)`` by name.
        rows: Number of rows.
        row_bytes: Size of a row in bytes.
        arrived: Time of arrival, in seconds of the event loop.
        answers: Future of the answers, ``(rows, ...)`` by name.
    """

    values: Arrays
    rows: int
    row_bytes: int
    arrived: float
    answers: asyncio.Future[Arrays]


class RowQueue:
    """Computes answers in batches of rows, in one thread.

    A batch is computed when it is full, or when its first row has waited for ``delay`` seconds. It
    has at most ``batch_rows`` rows, and fewer if they are large.
    Only the event loop changes the state. The task that computes batches exists while rows wait, so
    a queue need not be closed.

    Args:
        network: Computes the answers of a batch.
        join: Joins the values of several requests to one batch.
        batch_rows: Largest number of rows of a batch.
        delay: Longest time in seconds that a row waits for others.
        most_rows: Largest number of rows that wait.
        observe: Called with the number of rows of each batch.
    """

    def __init__(
        self,
        *,
        network: Network,
        join: Callable[[Sequence[Arrays]], Arrays],
        batch_rows: int,
        delay: float,
        most_rows: int,
        observe: Callable[[int], None],
    ) -> None:
        self._network = network
        self._join = join
        self._batch_rows = batch_rows
        self._delay = delay
        self._most_rows = most_rows
        self._observe = observe
        self._thread = ThreadPoolExecutor(1, "network")
        self._waiting: dict[Entry, None] = {}  # in the order of their arrival
        self._rows = 0
        self._filled = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    @property
    def rows(self) -> int:
        """Number of rows that wait."""
        return self._rows

    async def answer(self, values: Arrays) -> list[Arrays]:
        """Return the answers ``(rows, ...)`` by name, in parts of at most ``batch_rows`` rows.

        Rows whose caller is cancelled leave the queue.

        Args:
            values: Arrays ``(rows, ...)`` by name.

        Raises:
            RequestError: If too many rows wait.
            Exception: The error of the network for these rows.
        """
        rows = count_rows(values)
        if self._rows + rows > self._most_rows:
            raise overloaded(f"{self._rows} rows wait for the network. Try again later.")
        entries = self._add(values)
        try:
            return await asyncio.gather(*(entry.answers for entry in entries))
        finally:
            for entry in entries:
                self._remove(entry)

    def _add(self, values: Arrays) -> list[Entry]:
        """Add rows, cut into entries that a batch can hold."""
        loop = asyncio.get_running_loop()
        rows = count_rows(values)
        row_bytes = sum(array.nbytes for array in values.values()) // max(1, rows)
        most = min(self._batch_rows, max(1, BATCH_BYTES // max(1, row_bytes)))
        entries = [
            Entry(
                values=take_rows(values, start, start + most),
                rows=min(most, rows - start),
                row_bytes=row_bytes,
                arrived=loop.time(),
                answers=loop.create_future(),
            )
            for start in range(0, rows, most)
        ]
        self._waiting |= dict.fromkeys(entries)
        self._rows += rows
        if self._rows >= self._batch_rows:
            self._filled.set()
        if self._worker is None:
            self._worker = loop.create_task(self._compute_batches())
        return entries

    def _remove(self, entry: Entry) -> None:
        """Remove an entry if it waits."""
        if entry in self._waiting:
            del self._waiting[entry]
            self._rows -= entry.rows

    async def _compute_batches(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            deadline = next(iter(self._waiting)).arrived + self._delay
            if loop.time() < deadline:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(deadline):
                        await self._filled.wait()
            await self._compute(self._take_batch())
        self._worker = None

    def _take_batch(self) -> list[Entry]:
        """Remove and return the entries that have waited longest and fit into a batch."""
        batch: list[Entry] = []
        rows = row_bytes = 0
        for entry in list(self._waiting):
            rows += entry.rows
            row_bytes = max(row_bytes, entry.row_bytes)  # shorter rows are padded
            if batch and (rows > self._batch_rows or rows * row_bytes > BATCH_BYTES):
                break
            self._remove(entry)
            batch.append(entry)
        if self._rows < self._batch_rows:
            self._filled.clear()
        return batch

    async def _compute(self, batch: Sequence[Entry]) -> None:
        """Compute the answers of a batch; if that fails, those of each entry on its own."""
        if not batch:  # all have been cancelled
            return
        loop = asyncio.get_running_loop()
        try:
            parts = await loop.run_in_executor(self._thread, self._answers, batch)
        except Exception as error:  # noqa: BLE001  # of one entry, found below
            if len(batch) > 1:
                for entry in batch:
                    await self._compute([entry])
            elif not batch[0].answers.done():
                batch[0].answers.set_exception(error)
            return
        for entry, answers in zip(batch, parts, strict=True):
            if not entry.answers.done():
                entry.answers.set_result(answers)

    def _answers(self, batch: Sequence[Entry]) -> list[Arrays]:
        """Return the answers of each entry; called in the thread of the network."""
        self._observe(sum(entry.rows for entry in batch))
        if len(batch) == 1:
            return [self._network(batch[0].values)]
        answers = self._network(self._join([entry.values for entry in batch]))
        parts, start = [], 0
        for entry in batch:
            parts.append(take_rows(answers, start, start + entry.rows))
            start += entry.rows
        return parts

"""Mapping a function over items in worker processes, in order and in bounded memory."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, Generic, TypeVar

from leyden.errors import UserError
from leyden.ranks.environment import die_with_launcher

Item = TypeVar("Item")
Result = TypeVar("Result")

_function: Callable[[Any], Any]
"""Function of a worker process; the initializer sets it."""


class Workers(Generic[Item, Result]):
    """Worker processes, each of which builds the function once.

    They end with this process, and ignore Ctrl-C, which stops this process alone.

    Args:
        start: Builds the function in a new process; it can be pickled.
        processes: Number of processes.
    """

    def __init__(self, start: Callable[[], Callable[[Item], Result]], *, processes: int) -> None:
        self._pool = ProcessPoolExecutor(
            processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(start,)
        )

    def submit(self, item: Item) -> Callable[[], Result]:
        """Submit an item, and return a function that waits for its result."""
        with _without_interrupts():  # new processes inherit the mask
            return self._pool.submit(_apply, item).result

    def close(self) -> None:
        """Cancel the items that have not started, and wait for the others."""
        self._pool.shutdown(cancel_futures=True)


def map_in_order(
    submit: Callable[[Item], Callable[[], Result]], items: Iterable[Item], *, ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Yield each item and its result in the order of the items.

    Args:
        submit: Submits an item, and returns a function that waits for its result.
        items: The items, consumed as they are needed.
        ahead: Number of items that are submitted before their results are needed.

    Raises:
        UserError: If a worker process was killed.
    """
    pending: deque[tuple[Item, Callable[[], Result]]] = deque()
    try:
        for item in items:
            pending.append((item, submit(item)))
            if len(pending) > ahead:
                first, result = pending.popleft()
                yield first, result()
        while pending:
            first, result = pending.popleft()
            yield first, result()
    except BrokenProcessPool as error:
        raise UserError(
            "A worker process was killed, for example because the memory is full. Repeat the "
            "command, which continues where it has an output=; fewer processes= need less memory."
        ) from error


def _begin(start: Callable[[], Callable[[Any], Any]]) -> None:
    global _function  # the only state that tasks of a process share
    die_with_launcher()
    _function = start()


def _apply(item: Any) -> Any:
    return _function(item)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

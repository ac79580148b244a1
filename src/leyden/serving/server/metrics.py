"""Metrics in the format of Prometheus."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Bounds of the histogram of rows per batch."""


class Metrics:
    """Counts of one server.

    Attributes:
        batch_rows: Rows that the network has computed at once.
    """

    def __init__(self) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._registry = registry
        self._requests = Counter(
            "leyden_requests", "Requests.", ("route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "leyden_request_seconds", "Time to answer a request.", ("route",), registry=registry
        )
        self._queue_rows = Gauge(
            "leyden_queue_rows", "Rows that wait for the network.", registry=registry
        )
        self.batch_rows = Histogram(
            "leyden_batch_rows",
            "Rows that the network has computed at once.",
            buckets=BATCH_SIZES,
            registry=registry,
        )

    def observe_queue(self, rows: Callable[[], int]) -> None:
        """Report the depth of the queue, which the function returns."""
        self._queue_rows.set_function(rows)

    def observe_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has been answered."""
        self._requests.labels(route, status).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """Return all metrics in the text format."""
        return generate_latest(self._registry)

"""Options of the server."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of ``leyden serve`` other than the network.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 for a free one.
        batch_rows: Largest number of rows that the network computes at once.
        delay_ms: Longest time in ms that a row waits for others to fill its batch.
        queue_rows: Largest number of rows that wait for the network.
        max_rows: Largest number of rows of a request.
        max_bytes: Largest size of the body of a request.
        max_pixels: Largest number of pixels of an image.
        max_seconds: Longest duration of a sound.
        max_connections: Largest number of open connections.
        timeout: Longest time in seconds for receiving a request, and again for answering it.
        threads: Threads of one call of the network; ``None`` for all cores but one, which is left
            to the rest of the server.
        keys: File of API keys, one per line.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    batch_rows: int = 64
    delay_ms: float = 2.0
    queue_rows: int = 1024
    max_rows: int = 256
    max_bytes: int = 16 * 2**20
    max_pixels: int = 50_000_000
    max_seconds: float = 60.0
    max_connections: int = 512
    timeout: float = 30.0
    threads: int | None = None
    keys: Path | None = None

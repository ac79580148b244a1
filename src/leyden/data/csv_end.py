"""The end of a CSV file, where a quote that is never closed is found out."""

import io
from collections.abc import Iterator
from typing import IO

PIECE_BYTES = 1 << 16


class Ended(io.RawIOBase):
    """A CSV file with one more line behind its last one.

    A quote that is never closed makes one cell of all that follows, of this line too, and a parser
    says nothing of that.

    Args:
        stream: the file; an empty one is left as it is.
        line: what to add, without its end.
    """

    def __init__(self, stream: IO[bytes], line: bytes) -> None:
        self._pieces = _with_line(stream, line)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer."""
        self._left = self._left or memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _with_line(stream: IO[bytes], line: bytes) -> Iterator[bytes]:
    last = b""
    while piece := stream.read(PIECE_BYTES):
        last = piece
        yield piece
    if last:
        yield (b"" if last.endswith((b"\n", b"\r")) else b"\n") + line + b"\n"

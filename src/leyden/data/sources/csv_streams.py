"""CSV files as a parser gets them: without comment lines, and with a last line that closes them."""

import codecs
import io
from collections.abc import Iterator
from typing import IO

from leyden.data.sources.arrow import UNDECODABLE

PIECE_BYTES = 1 << 16

REPLACING = "leyden.undecodable"
"""Name by which codecs know how to decode invalid bytes."""

codecs.register_error(REPLACING, lambda error: (UNDECODABLE, error.end))  # type: ignore[attr-defined]


class Pieces(io.RawIOBase):
    """A stream of bytes that come in pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer."""
        self._left = self._left or memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def without_comments(stream: IO[bytes], mark: str) -> IO[bytes]:
    """Leave out the lines that begin with a mark, unless a quoted cell contains them."""

    def lines() -> Iterator[bytes]:
        quoted = False
        for line in stream:
            if quoted or not line.startswith(mark.encode()):
                quoted ^= line.count(b'"') % 2 == 1
                yield line

    return io.BufferedReader(Pieces(lines()))


def decodable(stream: IO[bytes]) -> IO[bytes]:
    """Replace bytes that are not valid UTF-8 by ``UNDECODABLE``.

    The parser decodes the rows that it rejects, and stops at the first that it cannot.
    """

    def pieces() -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors=REPLACING)
        while piece := stream.read(PIECE_BYTES):
            if decoded := decoder.decode(piece):
                yield decoded.encode()
        yield decoder.decode(b"", final=True).encode()

    return io.BufferedReader(Pieces(pieces()))


def ended(stream: IO[bytes], line: bytes) -> IO[bytes]:
    """Add one more line after the last one, unless the stream is empty.

    A quote that is never closed makes one cell of all that follows, of this line too, and a parser
    does not report that.

    Args:
        stream: The file.
        line: What to add, without its end.
    """

    def pieces() -> Iterator[bytes]:
        last = b""
        while piece := stream.read(PIECE_BYTES):
            last = piece
            yield piece
        if last:
            yield (b"" if last.endswith((b"\n", b"\r")) else b"\n") + line + b"\n"

    return io.BufferedReader(Pieces(pieces()))

"""Encodings of text files: the one that a byte order mark states, otherwise a given one."""

import codecs
import io
import re
from collections.abc import Iterator
from typing import IO

from leyden.errors import UserError

BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

LONGEST_MARK = 4

UNMARKED = ((b"[^\0]\0[^\0]\0", "utf-16-le"), (b"\0[^\0]\0[^\0]", "utf-16-be"))
"""Patterns of two ASCII characters in encodings without a byte order mark."""

UNDECODABLE = "\ufdd0"
"""Replaces bytes that are not valid in their encoding: a noncharacter, which no text contains."""

MARKING = "leyden.undecodable"
"""Name of the error handler of codecs that replaces by ``UNDECODABLE``."""

codecs.register_error(MARKING, lambda error: (UNDECODABLE, error.end))  # type: ignore[attr-defined]

PIECE_BYTES = 1 << 16


def encoding_of(beginning: bytes, given: str) -> str:
    """Return the encoding that the first ``LONGEST_MARK`` bytes reveal, otherwise a given one."""
    marked = (encoding for mark, encoding in BYTE_ORDER_MARKS if beginning.startswith(mark))
    unmarked = (name for two, name in UNMARKED if re.match(two, beginning, re.DOTALL))
    return next(marked, None) or next(unmarked, given)


def as_utf8(stream: IO[bytes], given: str) -> IO[bytes]:
    """Recode a text from its beginning to valid UTF-8 without a byte order mark.

    Args:
        stream: The text.
        given: Encoding of a text that does not reveal its own.
    """
    encoding = encoding_of(stream.read(LONGEST_MARK), given)
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)(errors=MARKING)
    texts = (decoder.decode(piece, final=not piece) for piece in pieces_of(stream))
    return joined(text.encode(errors=MARKING) for text in texts)


def pieces_of(stream: IO[bytes]) -> Iterator[bytes]:
    """Read a stream in pieces; the last one, and no other, is empty."""
    piece = b" "
    while piece:
        piece = stream.read(PIECE_BYTES)
        yield piece


def joined(pieces: Iterator[bytes]) -> IO[bytes]:
    """Make a stream of pieces, of which any may be empty."""
    return io.BufferedReader(_Pieces(filter(None, pieces)))


class _Pieces(io.RawIOBase):
    """A stream of pieces, none of them empty."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Return true."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer with what is left of a piece, or with the next one."""
        self._left = self._left or memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def check_encoding(encoding: str) -> None:
    """Raise if Python does not know an encoding, or it is not one of text, such as hex.

    Raises:
        UserError: If it cannot be used.
    """
    try:
        "a".encode(encoding, errors="surrogateescape")
    except (LookupError, ValueError) as error:
        raise UserError(
            f"data.encoding={encoding} is not an encoding of text that Python knows. Expected one "
            "such as utf-8, latin-1, cp1252 or shift_jis."
        ) from error

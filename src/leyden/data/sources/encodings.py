"""Encodings of text files, detected from their first bytes or given."""

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
"""Length in bytes of the beginning that reveals an encoding."""

UNMARKED = ((b"[^\0]\0[^\0]\0", "utf-16-le"), (b"\0[^\0]\0[^\0]", "utf-16-be"))
"""Patterns of two ASCII characters in encodings without a byte order mark."""

UNDECODABLE = "\ufdd0"
"""Replacement of bytes that are not valid in an encoding: a noncharacter, absent from texts."""

MARKING = "leyden.undecodable"
"""Name of the error handler of ``codecs`` that replaces invalid bytes by ``UNDECODABLE``."""

codecs.register_error(MARKING, lambda error: (UNDECODABLE, error.end))  # type: ignore[attr-defined]

PIECE_BYTES = 1 << 16


def encoding_of(beginning: bytes, given: str) -> str:
    r"""Detect the encoding of a text from its byte order mark or the zero bytes of UTF-16.

    Args:
        beginning: First ``LONGEST_MARK`` bytes of the text.
        given: Encoding to return if they reveal none.

    Example:
        >>> encoding_of(b"a\0b\0", "latin-1"), encoding_of(b"abcd", "latin-1")
        ('utf-16-le', 'latin-1')
    """
    marked = (encoding for mark, encoding in BYTE_ORDER_MARKS if beginning.startswith(mark))
    unmarked = (name for two, name in UNMARKED if re.match(two, beginning, re.DOTALL))
    return next(marked, None) or next(unmarked, given)


def as_utf8(stream: IO[bytes], given: str) -> IO[bytes]:
    """Return a stream of the same text in valid UTF-8, without a byte order mark.

    Args:
        stream: Encoded text, positioned at its beginning.
        given: Encoding of the text if its first bytes do not reveal it.
    """
    encoding = encoding_of(stream.read(LONGEST_MARK), given)
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)(errors=MARKING)
    texts = (decoder.decode(piece, final=not piece) for piece in read_pieces(stream))
    return join_pieces(text.encode(errors=MARKING) for text in texts)


def read_pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the content of a stream in pieces, of which only the last one is empty."""
    piece = b" "
    while piece:
        piece = stream.read(PIECE_BYTES)
        yield piece


def join_pieces(pieces: Iterator[bytes]) -> IO[bytes]:
    """Return a stream of the concatenated pieces, which may be empty."""
    return io.BufferedReader(_Pieces(filter(None, pieces)))


class _Pieces(io.RawIOBase):
    """Raw stream of pieces that are not empty."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Copy the rest of the current piece, or the next one, to a buffer; return the length."""
        self._left = self._left or memoryview(next(self._pieces, b""))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def check_encoding(encoding: str) -> None:
    """Raise if an encoding is unknown to Python or is not an encoding of text, such as hex.

    Raises:
        UserError: If the encoding cannot be used.
    """
    try:
        "a".encode(encoding, errors="surrogateescape")
    except (LookupError, ValueError) as error:
        raise UserError(
            f"data.encoding={encoding} is not an encoding of text that Python knows. Expected one "
            "such as utf-8, latin-1, cp1252 or shift_jis."
        ) from error

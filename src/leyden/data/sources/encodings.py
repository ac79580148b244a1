"""Encodings of text files: the one that a byte order mark announces, else the one that is given."""

import codecs
import io
import re
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


def encoding_of(beginning: bytes, given: str) -> str:
    """Name the encoding of a text by its first ``LONGEST_MARK`` bytes, else take the given one."""
    marked = (encoding for mark, encoding in BYTE_ORDER_MARKS if beginning.startswith(mark))
    unmarked = (name for two, name in UNMARKED if re.match(two, beginning, re.DOTALL))
    return next(marked, None) or next(unmarked, given)


def as_utf8(stream: IO[bytes], given: str) -> IO[bytes]:
    """Read a text at its beginning as UTF-8 without a byte order mark.

    Bytes that are not valid in the text's own encoding pass through as they are, to be found where
    the text is decoded.
    """
    encoding = codecs.lookup(encoding_of(stream.read(LONGEST_MARK), given)).name
    stream.seek(len(codecs.BOM_UTF8) if encoding == "utf-8-sig" else 0)
    if encoding in ("utf-8", "utf-8-sig"):
        return stream
    return io.BufferedReader(_Recoded(stream, encoding))


class _Recoded(io.RawIOBase):
    """A text in UTF-8, whatever it was in."""

    def __init__(self, stream: IO[bytes], encoding: str) -> None:
        self._recoder = codecs.EncodedFile(stream, "utf-8", encoding, errors="surrogateescape")
        self._left = b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill a buffer: the recoder gives more bytes than it is asked for."""
        self._left = self._left or self._recoder.read(len(buffer))
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def close(self) -> None:
        """Close the stream under it."""
        self._recoder.close()
        super().close()


def check_encoding(encoding: str) -> None:
    """Raise if Python does not know an encoding, or it is not one of text, as hex is not.

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

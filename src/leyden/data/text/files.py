"""Reading text files."""

from pathlib import Path

from leyden.data.rows import UnreadableError
from leyden.data.sources.encodings import LONGEST_MARK, encoding_of
from leyden.data.sources.folders import FileType
from leyden.errors import first_line

TEXT_FILES = FileType(noun="text")
"""Files with any suffix: e-mails and posts often have none."""


def read_text(path: Path, encoding: str) -> str:
    """Read a whole file in the encoding of its byte order mark, or else in ``encoding``.

    Raises:
        UnreadableError: If the file cannot be opened, is not text, or is not valid in its encoding.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    return decode_text(content, encoding)


def decode_text(content: bytes, encoding: str) -> str:
    """Decode the content of a file as ``read_text`` does.

    Raises:
        UnreadableError: If it is not text, or is not valid in its encoding.
    """
    try:
        encoding = encoding_of(content[:LONGEST_MARK], encoding)
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        byte = content[error.start]
        raise UnreadableError(
            f"not valid {encoding} at byte {error.start} ({byte:#04x}); see data.encoding"
        ) from error
    except Exception as error:  # rare codecs raise errors of any type
        raise UnreadableError(first_line(error)) from error
    if "\0" in text:
        raise UnreadableError("holds zero bytes, so it is not text")
    return text

"""Reading text files in any encoding."""

import codecs
from pathlib import Path

from leyden.data.rows import UnreadableError
from leyden.errors import UserError

BYTE_ORDER_MARKS = (  # UTF-32 first: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

LONGEST_MARK = 4

FALLBACK = "cp1252"


def text_files(folder: Path) -> list[Path]:
    """List the files below a folder in a fixed order, but for hidden ones."""
    return sorted(
        file
        for file in folder.rglob("*")
        if not file.is_dir()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def read_file(path: Path) -> bytes:
    """Read a file whole.

    Raises:
        UnreadableError: it can't be opened, or holds no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableError(error.strerror or str(error)) from error
    if b"\0" in content and marked_encoding(content) is None:
        raise UnreadableError("holds zero bytes, so it is no text")
    return content


def marked_encoding(content: bytes) -> str | None:
    """Name the encoding that a byte order mark announces."""
    marks = (encoding for mark, encoding in BYTE_ORDER_MARKS if content.startswith(mark))
    return next(marks, None)


def decode(content: bytes | str, encoding: str) -> tuple[str, str | None]:
    """Decode a text, by its byte order mark or else an encoding.

    Args:
        content: bytes, or what a parser made of them.
        encoding: of bytes without a mark.

    Returns:
        The text, and what is wrong with its encoding, if anything: the text is then what
        Windows-1252 makes of it.
    """
    if isinstance(content, str):
        try:
            content.encode()
        except UnicodeEncodeError:
            return content.encode(errors="replace").decode(), "holds half a surrogate pair"
        return content, None
    encoding = marked_encoding(content[:LONGEST_MARK]) or encoding
    try:
        return content.decode(encoding), None
    except UnicodeDecodeError as error:
        fault = f"not {encoding} at byte {error.start} ({content[error.start]:#04x})"
        return content.decode(FALLBACK, errors="replace"), fault


def check_encoding(encoding: str) -> None:
    """Refuse an encoding that Python does not know.

    Raises:
        UserError: it is unknown.
    """
    try:
        codecs.lookup(encoding)
    except LookupError as error:
        raise UserError(
            f"data.encoding={encoding} is no encoding that Python knows. Expected one such as "
            "utf-8, latin-1, cp1252 or shift_jis."
        ) from error

"""Conversion of raw e-mails to text."""

from collections.abc import Iterator
from email import message_from_string
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from email.message import Message


ENCODED = {"base64", "quoted-printable", "uuencode", "x-uuencode", "uue", "x-uue"}
"""Transfer encodings that have to be decoded, in lower case."""


def subject_and_body(mail: str) -> str:
    r"""Return the decoded subject, followed by all text of the body, including HTML.

    The body includes the text before and after its parts, such as the footer of a mailing list.

    Example:
        >>> subject_and_body("Subject: =?utf-8?q?Caf=C3=A9?=\n\nAt noon?")
        'Café\nAt noon?'
    """
    # The parser mistakes lone surrogates for bytes that it has escaped itself.
    message = message_from_string(mail.encode(errors="replace").decode())
    return "\n".join([_subject(message), *_texts(message)])


def _subject(message: "Message[str, str]") -> str:
    subject = str(message["subject"] or "")
    try:
        return str(make_header(decode_header(subject)))
    except (LookupError, ValueError, HeaderParseError):  # an unknown charset
        return subject


def _texts(message: "Message[str, str]") -> Iterator[str]:
    if message.is_multipart():
        yield message.preamble or ""
        for part in message.get_payload():
            yield from _texts(cast("Message[str, str]", part))
        yield message.epilogue or ""
    elif message.get_content_maintype() in ("text", "multipart"):  # several parts, but no boundary
        yield _decoded(message)


def _decoded(part: "Message[str, str]") -> str:
    if str(part["content-transfer-encoding"]).strip().lower() not in ENCODED:
        return str(part.get_payload())
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    try:
        return payload.decode(part.get_content_charset() or "latin-1", "replace")
    except (LookupError, ValueError):  # an unknown or damaged charset
        return payload.decode("latin-1")

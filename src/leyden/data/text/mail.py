"""Reading raw e-mails."""

from email import message_from_string
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message


def subject_and_body(mail: str) -> str:
    """Take the decoded subject, and below it all decoded parts that are text, HTML too."""
    message = message_from_string(mail)
    return f"{_subject(message)}\n{_body(message)}"


def _subject(message: "Message[str, str]") -> str:
    subject = str(message["subject"] or "")
    try:
        return str(make_header(decode_header(subject)))
    except (LookupError, ValueError, HeaderParseError):  # of a charset that nobody knows
        return subject


def _body(message: "Message[str, str]") -> str:
    parts = (part for part in message.walk() if part.get_content_maintype() == "text")
    return "\n".join(_decoded(part) for part in parts)


def _decoded(part: "Message[str, str]") -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    try:
        return payload.decode(part.get_content_charset() or "latin-1", "replace")
    except LookupError:
        return payload.decode("latin-1")

"""Cleaning of texts: what is judged text by text, and what is mended in them."""

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from leyden.data.cleaning import Cleaning

TAG = re.compile(
    r"<!--.*?(?:-->|\Z)"  # what is never closed ends with the text, as in browsers
    r"|<(script|style)\b[^<>]*>.*?(?:</\1\s*>|\Z)"
    r"|<[/!]?([a-z][a-z0-9]*)(?:\s[^<>]*)?/?>",
    re.DOTALL | re.IGNORECASE,
)
"""Comments, code, and tags; the names of tags tell ``<b>`` from ``<me@example.org>``."""

INLINE = {
    "a", "abbr", "b", "big", "em", "font", "i", "s", "small", "span", "strike", "strong", "sub",
    "sup", "tt", "u",
}  # fmt: skip
"""Tags that may stand inside a word."""

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u2060\ufeff]")
"""Control characters but tab and line ends, and marks of no width that tear words apart."""


@dataclass(frozen=True, kw_only=True)
class TextCleaning(Cleaning):
    """The steps of every kind of data, and those of texts.

    Attributes:
        html: replace tags by spaces or nothing, drop comments and scripts, resolve entities.
        control: drop control characters and marks of no width.
        unicode: bring equal characters to one form (NFKC).
        whitespace: make runs of white space one space or one line end.
        empty: drop texts without any character but white space.
        near_duplicates: drop training rows that share most of their wording with another row.
    """

    html: bool = True
    control: bool = True
    unicode: bool = True
    whitespace: bool = True
    empty: bool = True
    near_duplicates: bool = True

    def mended(self, text: str) -> tuple[str, list[str]]:
        """Run the steps that change a text, and name those that did."""
        changed = []
        for step, mend in MENDERS.items():
            before = text
            if getattr(self, step):
                text = mend(text)
            if text != before:
                changed.append(step)
        return text, changed


def without_html(text: str) -> str:
    """Drop markup, as it would look in a browser."""
    if "<" not in text and "&" not in text:
        return text
    return html.unescape(TAG.sub(_gap, text))


def _gap(tag: re.Match[str]) -> str:
    name = tag[2]
    return "" if tag[0].startswith("<!--") or (name and name.lower() in INLINE) else " "


def without_control(text: str) -> str:
    """Drop control characters."""
    return CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def normal_form(text: str) -> str:
    """Bring characters to Unicode's form NFKC."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", text)


def with_single_spaces(text: str) -> str:
    """Make runs of white space one space, or one line end where they hold one."""
    return re.sub(r" ?\n[ \n]*", "\n", re.sub(r"[^\S\n]+", " ", text)).strip()


MENDERS: dict[str, Callable[[str], str]] = {
    "html": without_html,
    "control": without_control,
    "unicode": normal_form,
    "whitespace": with_single_spaces,
}
"""In the order in which they run: entities may hide control characters and odd spaces."""

"""Cleaning steps that change or examine single texts."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from leyden.data.cleaning.steps import Cleaning
from leyden.data.text.markup import strip_html

LINE_ENDS = ("\r\n", "\r", "\v", "\f")
"""Line ends of other systems, vertical tabs and form feeds."""

CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f\u00ad\u200b\u2060\ufeff]")
"""Control characters except white space, and zero-width characters that only govern line breaks.

Zero-width joiners stay: words of Persian and Indic scripts and many emoji are spelled with them.
"""

UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
"""Letters of Thai, Lao, Burmese and Khmer, in which a zero-width space separates words."""

SURROGATES = re.compile("[\ud800-\udfff]")
"""Lone surrogates, which UTF-8 cannot encode."""

VARIANT_BLOCKS = (
    (0x00A0, 0x00A1),  # no-break space
    (0x2007, 0x2008),  # space as wide as a digit
    (0x2011, 0x2012),  # no-break hyphen
    (0x202F, 0x2030),  # narrow no-break space
    (0x3000, 0x3001),  # ideographic space
    (0xFB00, 0xFB18),  # Latin and Armenian ligatures
    (0xFB50, 0xFE00),  # contextual forms of Arabic letters
    (0xFE10, 0xFF00),  # vertical and small forms, further Arabic letters
    (0xFF00, 0xFFF0),  # full width and half width
)
"""Ranges of code points that differ from others in width or form, but not in meaning."""


@dataclass(frozen=True, kw_only=True)
class TextCleaning(Cleaning):
    """Cleaning steps of every kind of data, and those of texts.

    Attributes:
        html: Remove tags, comments and scripts from texts that are HTML, and resolve character
            references; see ``leyden.data.text.markup``.
        control: Drop control and zero-width characters, and convert those that Windows-1252 uses
            for quotes and dashes.
        unicode: Normalise to NFC, and replace ligatures and full-width and half-width characters
            by the usual ones. Unlike with NFKC, ``x²``, ``½`` and ``①`` stay.
        whitespace: Replace each run of white space by one space or one line end.
        empty: Drop texts that hold only white space.
        near_duplicates: Drop training rows that share most of their wording with another row.
            Texts of fewer than ``leyden.data.text.minhash.FEWEST_WORDS`` words are not compared.
    """

    html: bool = True
    control: bool = True
    unicode: bool = True
    whitespace: bool = True
    empty: bool = True
    near_duplicates: bool = True

    def clean_text(self, text: str) -> tuple[str, list[str]]:
        """Run the steps that change a text.

        Returns:
            The cleaned text, and the names of the steps that changed it.

        Example:
            >>> TextCleaning().clean_text("<p>two  words</p>")
            ('two words', ['html', 'whitespace'])
        """
        text = SURROGATES.sub("\ufffd", text)
        changed = []
        for step, change in CHANGES.items():
            cleaned = change(text) if getattr(self, step) else text
            if cleaned != text:
                changed.append(step)
            text = cleaned
        return text, changed


def strip_control(text: str) -> str:
    r"""Return a text without control and zero-width characters, its lines ended by ``\n``.

    Example:
        >>> strip_control("wait\x85\r\nsto\u00adp")
        'wait…\nstop'
    """
    for end in LINE_ENDS:
        text = text.replace(end, "\n")
    return CONTROL.sub(_replacement, text)


def _replacement(control: re.Match[str]) -> str:
    """Return the character that a control character was meant to be, or an empty string."""
    character = control[0]
    if "\x80" <= character <= "\x9f":  # Windows-1252 is often declared as Latin-1
        return character.encode("latin-1").decode("cp1252", "ignore")
    before = control.string[max(0, control.start() - 1) : control.start()]
    return character if character == "\u200b" and UNSPACED.match(before) else ""


def normalise_unicode(text: str) -> str:
    """Return a text in NFC, without ligatures, full-width and half-width characters.

    Example:
        >>> normalise_unicode("\ufb01ve \uff21 x²")
        'five A x²'
    """
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.translate(VARIANTS))


def collapse_whitespace(text: str) -> str:
    r"""Replace each run of white space by one space, or by one line end if it holds any.

    Example:
        >>> collapse_whitespace(" a \t b \n\n c ")
        'a b\nc'
    """
    return re.sub(r" ?\n[ \n]*", "\n", re.sub(r"[^\S\n]+", " ", text)).strip()


def _variants() -> Iterator[tuple[int, str]]:
    """Yield the code points in ``VARIANT_BLOCKS`` that have an equivalent, with the equivalent."""
    for start, end in VARIANT_BLOCKS:
        for variant in range(start, end):
            _, *equivalent = unicodedata.decomposition(chr(variant)).split() or ("",)
            if equivalent:
                yield variant, "".join(chr(int(code, 16)) for code in equivalent)


VARIANTS = dict(_variants())

CHANGES: dict[str, Callable[[str], str]] = {
    "html": strip_html,
    "control": strip_control,
    "unicode": normalise_unicode,
    "whitespace": collapse_whitespace,
}
"""Steps in the order in which they run: entities may hide control characters and odd spaces."""

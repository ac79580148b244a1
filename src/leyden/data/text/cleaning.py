"""Cleaning steps that change or judge each text alone."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from leyden.data.cleaning.steps import Cleaning
from leyden.data.text.markup import without_html

LINE_ENDS = ("\r\n", "\r", "\v", "\f")
"""Line ends of other systems, and tabs and page breaks that end lines too."""

CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x9f\u00ad\u200b\u2060\ufeff]")
"""Control characters but for white space, and marks of no width that only govern line breaks.

Joiners of no width stay: words of Persian and Indic scripts and many emoji are spelled with them.
"""

UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
"""Letters of Thai, Lao, Burmese and Khmer: between them, a space of no width parts words."""

SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of characters, which no encoding can hold."""

VARIANT_BLOCKS = (
    (0x00A0, 0x00A1),  # no-break space
    (0x2007, 0x2008),  # space as wide as a digit
    (0x2011, 0x2012),  # no-break hyphen
    (0x202F, 0x2030),  # narrow no-break space
    (0x3000, 0x3001),  # ideographic space
    (0xFB00, 0xFB18),  # Latin and Armenian ligatures
    (0xFB50, 0xFE00),  # Arabic letters in the form that their neighbours ask for
    (0xFE10, 0xFF00),  # for vertical text, small forms, further Arabic letters
    (0xFF00, 0xFFF0),  # full width and half width
)
"""Characters that differ from others in width or form, and never in what they mean."""


@dataclass(frozen=True, kw_only=True)
class TextCleaning(Cleaning):
    """The steps of every kind of data, and those of texts.

    Attributes:
        html: In texts that are HTML, replace tags by a space or nothing, drop comments and scripts
            and resolve character references; see ``leyden.data.text.markup``.
        control: Drop control characters and marks of no width, and read those of Windows-1252 as
            the quotes and dashes that they are.
        unicode: Bring equal characters to one form: Unicode's NFC, ligatures to letters, and full
            and half width to the usual one. Unlike NFKC, ``x²``, ``½`` and ``①`` stay.
        whitespace: Make runs of white space one space or one line end.
        empty: Drop texts without any character but white space.
        near_duplicates: Drop training rows that share most of their wording with another row.
            Texts of fewer words than ``leyden.data.text.minhash.FEWEST_WORDS`` are not compared.
    """

    html: bool = True
    control: bool = True
    unicode: bool = True
    whitespace: bool = True
    empty: bool = True
    near_duplicates: bool = True

    def mended(self, text: str) -> tuple[str, list[str]]:
        """Run the steps that change a text, and name those that did."""
        text = SURROGATES.sub("\ufffd", text)
        changed = []
        for step, mend in MENDERS.items():
            before = text
            if getattr(self, step):
                text = mend(text)
            if text != before:
                changed.append(step)
        return text, changed


def without_control(text: str) -> str:
    """Drop control characters."""
    for end in LINE_ENDS:
        text = text.replace(end, "\n")
    return CONTROL.sub(_shown, text)


def _shown(control: re.Match[str]) -> str:
    """Return what a control character stands for, which mostly is nothing."""
    character = control[0]
    if "\x80" <= character <= "\x9f":  # Windows-1252 is often declared as Latin-1
        return character.encode("latin-1").decode("cp1252", "ignore")
    before = control.string[max(0, control.start() - 1) : control.start()]
    return character if character == "\u200b" and UNSPACED.match(before) else ""


def normal_form(text: str) -> str:
    """Bring equal characters to one form."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.translate(VARIANTS))


def with_single_spaces(text: str) -> str:
    """Make runs of white space one space, or one line end where they hold one."""
    return re.sub(r" ?\n[ \n]*", "\n", re.sub(r"[^\S\n]+", " ", text)).strip()


def _variants() -> Iterator[tuple[int, str]]:
    """List the characters of ``VARIANT_BLOCKS`` that have an equivalent, and that."""
    for start, end in VARIANT_BLOCKS:
        for code in range(start, end):
            _, *equivalent = unicodedata.decomposition(chr(code)).split() or ("",)
            if equivalent:
                yield code, "".join(chr(int(part, 16)) for part in equivalent)


VARIANTS = dict(_variants())

MENDERS: dict[str, Callable[[str], str]] = {
    "html": without_html,
    "control": without_control,
    "unicode": normal_form,
    "whitespace": with_single_spaces,
}
"""In the order in which they run: entities may hide control characters and odd spaces."""

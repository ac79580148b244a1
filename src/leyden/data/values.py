"""Equality of values that are written as text: names of classes, categories and groups.

Programs write one value in several ways: 1 and 1.0, True and TRUE, é as one character or two.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation

FAMILIES = (("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n"), ("1", "0"))
"""Pairs of words for true and false."""

SYNONYMS = (
    ({"true", "yes", "1"}, {"false", "no", "0"}),
    ({"true", "t", "1"}, {"false", "f", "0"}),
    ({"yes", "y", "1"}, {"no", "n", "0"}),
)
"""Words that may be equal; Y, N and T are not, so they are three categories."""

TRUE, FALSE = (frozenset(words) for words in zip(*FAMILIES, strict=True))

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

PADDED = re.compile(r"[+-]?0[0-9]")
"""Beginning of a number with leading zeros, such as a post code, which is a name."""

MOST_ZEROS = 30
"""Exponents beyond this are not written out as zeros."""


def canonical(text: str) -> str:
    """Return the canonical spelling of a value.

    Args:
        text: Value as it is written.

    Returns:
        The text without surrounding space, in Unicode's normal form C. A decimal number is in its
        shortest exact spelling, unless it has leading zeros; true and false are in lower case.

    Example:
        >>> [canonical(text) for text in (" 1.0", "1e3", "02139", "TRUE", "Yes")]
        ['1', '1000', '02139', 'true', 'Yes']
    """
    text = normal(text)
    if text[-1:].isdecimal() or text.endswith("."):
        return _shortest(text.replace("\N{MINUS SIGN}", "-"), text)
    return lower if (lower := text.lower()) in ("true", "false") else text


def normal(text: str) -> str:
    """Return a text without surrounding space, in Unicode's normal form C."""
    return unicodedata.normalize("NFC", text.strip())


def merge_equal(names: Sequence[str]) -> dict[str, str]:
    """Choose one spelling for all names of a column that are equal.

    Names are equal if their canonical spellings are, or if they mean the same truth value and all
    names of the column are words for true and false.

    Args:
        names: All distinct names of the column.

    Returns:
        Spelling that represents each name: the shortest of those that are equal, and of these the
        first in sorted order.

    Example:
        >>> merge_equal(["1", "1.0", "02"])
        {'1': '1', '1.0': '1', '02': '02'}
        >>> merge_equal(["no", "N", "yes"])
        {'no': 'N', 'N': 'N', 'yes': 'yes'}
    """
    words = truth_words(names)
    keys = {name: words.get(key.lower(), key) for name in names for key in [canonical(name)]}
    chosen: dict[str | bool, str] = {}
    for name in sorted(names, key=lambda name: (len(name), name)):
        chosen.setdefault(keys[name], name)
    return {name: chosen[keys[name]] for name in names}


def matcher(known: Iterable[str]) -> Callable[[str], str | None]:
    """Return a function that maps a name to the known name that it equals, or else to ``None``.

    Args:
        known: Names, no two of which are equal.
    """
    names = {canonical(name): name for name in known}
    truths = truth_words(names)
    of_truth = {truths[name.lower()]: names[name] for name in names} if truths else {}

    def find(text: str) -> str | None:
        key = canonical(text)
        truth = truths.get(key.lower())
        return names.get(key) if key in names or truth is None else of_truth[truth]

    return find


def truth_words(names: Iterable[str]) -> dict[str, bool]:
    """Return the truth values of the words of a column of truths.

    Args:
        names: All distinct names of the column.

    Returns:
        Truth value by word in lower case, for all synonyms of the names; empty if the names do not
        cover both truth values, or one of them is not such a word.

    Example:
        >>> sorted(truth_words(["T", "F"]).items())
        [('0', False), ('1', True), ('f', False), ('false', False), ('t', True), ('true', True)]
    """
    words = {canonical(name).lower() for name in names}
    return dict(_synonyms(words)) if words <= TRUE | FALSE else {}


def _synonyms(words: set[str]) -> Iterator[tuple[str, bool]]:
    for true, false in SYNONYMS:
        if words <= true | false and words & true and words & false:
            yield from dict.fromkeys(true, True).items()
            yield from dict.fromkeys(false, False).items()


def _shortest(number: str, text: str) -> str:
    """Return the shortest exact spelling of a number, or ``text`` if it is not a number."""
    if not NUMBER.fullmatch(number) or PADDED.match(number):
        return text
    try:
        exact = Decimal(number).normalize(Context(len(number), Emax=MAX_EMAX, Emin=MIN_EMIN))
    except InvalidOperation:  # the exponent is out of bounds
        return text
    if not exact:
        return "0"
    return format(exact, "f") if abs(exact.adjusted()) <= MOST_ZEROS else str(exact)

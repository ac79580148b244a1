"""Equality of values that are written as text: names of classes, categories and groups.

Programs spell one value in several ways: 1 and 1.0, True and TRUE, é as one character or two.
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
"""Words that may be equal. Letters of two families are not: Y, N and T are three categories."""

TRUE, FALSE = (frozenset(words) for words in zip(*FAMILIES, strict=True))

NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

PADDED = re.compile(r"[+-]?0[0-9]")
"""Beginning of a number with leading zeros, such as a post code: a name and not an amount."""

MOST_ZEROS = 30
"""Exponents beyond this are not written out as zeros."""


def canonical(text: str) -> str:
    """Return the one spelling of a value.

    Args:
        text: The value as it is written.

    Returns:
        The text without surrounding space, in Unicode's normal form C. A decimal number is in its
        shortest exact spelling, unless it has leading zeros. The words true and false are in lower
        case.

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


def merged(names: Sequence[str]) -> dict[str, str]:
    """Choose one spelling for all names of a column that are equal.

    Names are equal if their canonical spellings are, or if they mean the same truth value and all
    names of the column are words for true and false.

    Args:
        names: All distinct names of the column.

    Returns:
        The spelling that represents each name: the shortest of those that are equal, then the first
        in order. A name that equals no other one keeps its own.

    Example:
        >>> merged(["1", "1.0", "02"])
        {'1': '1', '1.0': '1', '02': '02'}
        >>> merged(["no", "N", "yes"])
        {'no': 'N', 'N': 'N', 'yes': 'yes'}
    """
    words = truth_words(names)
    keys = {name: words.get(key.lower(), key) for name in names for key in [canonical(name)]}
    chosen: dict[str | bool, str] = {}
    for name in sorted(names, key=lambda name: (len(name), name)):
        chosen.setdefault(keys[name], name)
    return {name: chosen[keys[name]] for name in names}


def matcher(known: Iterable[str]) -> Callable[[str], str | None]:
    """Return a function that finds the known name that equals another one, or ``None``.

    Args:
        known: Names of which no two are equal.
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
    """Return words, in lower case, and their truth value if all names are such words.

    Args:
        names: All distinct names of a column.

    Returns:
        All words that may be synonyms of the names; none if the names do not cover both truth
        values, or a word of them has another meaning.
    """
    words = {canonical(name).lower() for name in names}
    return dict(_synonyms(words)) if words <= TRUE | FALSE else {}


def _synonyms(words: set[str]) -> Iterator[tuple[str, bool]]:
    for true, false in SYNONYMS:
        if words <= true | false and words & true and words & false:
            yield from dict.fromkeys(true, True).items()
            yield from dict.fromkeys(false, False).items()


def _shortest(number: str, text: str) -> str:
    """Spell a number exactly; return the text if it is none."""
    if not NUMBER.fullmatch(number) or PADDED.match(number):
        return text
    try:
        exact = Decimal(number).normalize(Context(len(number), Emax=MAX_EMAX, Emin=MIN_EMIN))
    except InvalidOperation:  # the exponent is out of bounds
        return text
    if not exact:
        return "0"
    return format(exact, "f") if abs(exact.adjusted()) <= MOST_ZEROS else str(exact)

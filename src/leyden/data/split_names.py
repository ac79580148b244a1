"""Names that mean a split, in any of the usual spellings."""

import re
from collections.abc import Iterable
from typing import Literal

from leyden.data.rows import Part

Meaning = Literal["train", "val", "test", "eval"]
"""A split; ``eval`` means either of the last two."""

_FILLER = r"(?:data(?:set)?|set|split|images?|files?|folder)"

_NAME = re.compile(
    rf"(?:{_FILLER}[\W_]*)*"
    r"(?:(?P<train>train(?:ing)?|trn)"
    r"|(?P<val>val(?:id(?:ation)?)?|dev(?:elopment)?)"
    r"|(?P<test>test(?:ing)?|tst)"
    r"|(?P<eval>eval(?:uation)?))"
    rf"(?:[\W_]*{_FILLER})*[\W_\d]*",
    re.IGNORECASE,
)


def parse_split(name: str) -> Meaning | None:
    """Return the split that a name means, or ``None`` for any other name.

    >>> [parse_split(name) for name in ("Training", "valid", "test_set", "eval", "trainer")]
    ['train', 'val', 'test', 'eval', None]
    """
    found = _NAME.fullmatch(name.strip())
    meaning: Meaning | None = found.lastgroup if found else None  # type: ignore[assignment]
    return meaning


def resolve_splits(meanings: Iterable[Meaning]) -> dict[Meaning, Part]:
    """Return the split of each meaning: ``eval`` is val or test if the other one is there.

    ``eval`` is left out where it may be both.

    >>> resolve_splits(["train", "val", "eval"])["eval"]
    'test'
    """
    known = set(meanings)
    splits: dict[Meaning, Part] = {
        split: split for split in ("train", "val", "test") if split in known
    }
    left: list[Part] = [split for split in ("val", "test") if split not in known]
    if "eval" in known and len(left) == 1:
        splits["eval"] = left[0]
    return splits

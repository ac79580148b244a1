"""Names that mean a split, in any of the usual spellings."""

import re
from collections.abc import Iterable

from leyden.data.rows import GIVEN_SPLITS, GivenSplit

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


def parse_split(name: str) -> str | None:
    """Return what a name means: train, val, test, or eval for one of the last two; else ``None``.

    >>> [parse_split(name) for name in ("Training", "valid", "test_set", "eval", "trainer")]
    ['train', 'val', 'test', 'eval', None]
    """
    found = _NAME.fullmatch(name.strip())
    return found.lastgroup if found else None


def assign_splits(names: Iterable[str]) -> dict[str, GivenSplit]:
    """Return the split that each of some names means; ``all`` is for rows that are to be split.

    ``eval`` means val or test if another name means the other one. Names that mean no split, or
    either of two, are left out.

    >>> assign_splits(["Train", "dev", "eval", "extra"])
    {'Train': 'train', 'dev': 'val', 'eval': 'test'}
    """
    meant = {name: "all" if name.strip().lower() == "all" else parse_split(name) for name in names}
    splits: dict[str | None, GivenSplit] = {split: split for split in GIVEN_SPLITS}
    left: list[GivenSplit] = [split for split in ("val", "test") if split not in meant.values()]
    if len(left) == 1:
        splits["eval"] = left[0]
    return {name: splits[meaning] for name, meaning in meant.items() if meaning in splits}

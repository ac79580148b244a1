"""Names of splits in their usual spellings."""

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
    """Return the split that a name means, or ``None`` if it means none.

    Args:
        name: Name of a folder or a cell of a table.

    Returns:
        ``train``, ``val``, ``test``, or ``eval``, which is either of the last two.

    Example:
        >>> [parse_split(name) for name in ("Training", "valid", "test_set", "eval", "trainer")]
        ['train', 'val', 'test', 'eval', None]
    """
    found = _NAME.fullmatch(name.strip())
    return found.lastgroup if found else None


def assign_splits(names: Iterable[str]) -> dict[str, GivenSplit]:
    """Return the split by name for all names of a data set.

    ``eval`` means val or test if another name means the other one; ``all`` is for rows that are to
    be split. Names that mean no split, or may mean two, are omitted.

    Example:
        >>> assign_splits(["Train", "dev", "eval", "extra"])
        {'Train': 'train', 'dev': 'val', 'eval': 'test'}
    """
    meant = {name: "all" if name.strip().lower() == "all" else parse_split(name) for name in names}
    splits: dict[str | None, GivenSplit] = {split: split for split in GIVEN_SPLITS}
    left: list[GivenSplit] = [split for split in ("val", "test") if split not in meant.values()]
    if len(left) == 1:
        splits["eval"] = left[0]
    return {name: splits[meaning] for name, meaning in meant.items() if meaning in splits}

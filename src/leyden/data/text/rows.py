"""Texts of a source, cleaned into rows chunk by chunk."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice

import numpy as np
from numpy.typing import NDArray

from leyden.data.identity import hash_names
from leyden.data.rows import GivenSplit, Ragged, RejectedItem, Rows
from leyden.data.sources.folders import reject
from leyden.data.sources.tables import Chunk
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.minhash import signatures
from leyden.errors import UserError

TEXTS_PER_CHUNK = 1024
"""Texts that are cleaned or encoded together, to limit memory."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text of a data set.

    Attributes:
        content: The text itself.
        source: Display name of the row.
        target: Class, by name or index; ``None`` if texts have no classes.
        split: Split that the source assigns it to.
        group: Name of what must stay in one split, such as the author; all texts have one, or none.
        identity: Name by which the text is split; ``None`` for the source.
    """

    content: str
    source: str
    target: str | int | None = None
    split: GivenSplit = "all"
    group: str | None = None
    identity: str | None = None


def join_columns(chunk: Chunk, columns: Sequence[str]) -> Iterator[str]:
    """Yield the text of each row of a table: the cells of some columns, one per line."""
    for cells in zip(*(chunk.columns[name].to_pylist() for name in columns), strict=True):
        yield "\n".join(cell or "" for cell in cells)


def text_rows(items: Iterable[Text | RejectedItem], steps: TextCleaning) -> Iterator[Rows]:
    """Clean texts chunk by chunk, and run the cleaning steps that examine single texts.

    Args:
        items: Texts, split by split, and items that did not become one.
        steps: Cleaning steps that run.

    Raises:
        UserError: If no text of some class is left while another class has some.
    """
    classes: set[str | int | None] = set()
    left: set[str | int | None] = set()
    stream = iter(items)
    while chunk := list(islice(stream, TEXTS_PER_CHUNK)):
        texts = [item for item in chunk if isinstance(item, Text)]
        classes.update(text.target for text in texts)
        if len(texts) < len(chunk):
            yield reject([item for item in chunk if isinstance(item, RejectedItem)])
        for split, members in groupby(texts, key=lambda text: text.split):
            rows = _clean_chunk(split, members, steps)
            left.update(rows.targets.tolist())
            yield rows
    lost = sorted(str(name) for name in classes - left if name is not None)
    if lost and left:
        raise UserError(
            f"Not one text of the class {', '.join(lost)} holds any words. Fix the texts, remove "
            "the class, or switch steps off in data.cleaning."
        )


def passages(content: str, longest: int) -> Iterator[str]:
    r"""Cut a text into passages of bounded length, at the ends of lines if possible.

    Args:
        content: The text.
        longest: Largest number of characters in a passage.

    Example:
        >>> list(passages("one\ntwo\nseventeen", longest=8))
        ['one\ntwo\n', 'seventee', 'n']
    """
    passage = ""
    for line in content.splitlines(keepends=True):
        if passage and len(passage) + len(line) > longest:
            yield passage
            passage = ""
        passage += line
        while len(passage) > longest:
            yield passage[:longest]
            passage = passage[longest:]
    if passage:
        yield passage


def _clean_chunk(split: GivenSplit, texts: Iterable[Text], steps: TextCleaning) -> Rows:
    kept: list[Text] = []
    rejected: list[RejectedItem] = []
    changed: Counter[str] = Counter()
    for text in texts:
        content, changes = steps.clean_text(text.content)
        changed.update(changes)
        empty = steps.empty and not content.strip()
        # Texts of a given test split are only reported, so that published figures stay comparable.
        dropped = empty and split != "test"
        if empty:
            finding = RejectedItem(source=text.source, reason="holds no text", step="empty")
            rejected.append(replace(finding, dropped=dropped, target=text.target))
        if not dropped:
            kept.append(replace(text, content=content))
    contents = [text.content for text in kept]
    groups = [text.group for text in kept if text.group is not None]
    encoded = (np.frombuffer(content.encode(), dtype=np.uint8) for content in contents)
    return Rows(
        arrays={"texts": Ragged.of(encoded, dtype=np.dtype(np.uint8))},
        targets=_targets(kept),
        split=split,
        sources=[text.source for text in kept],
        rejected=rejected,
        keys=hash_names(text.identity or text.source for text in kept),
        groups=np.array(groups, dtype=str) if groups else None,
        changed=changed,
        signatures=signatures(contents) if steps.near_duplicates else None,
    )


def _targets(texts: Sequence[Text]) -> NDArray[np.generic]:
    """Return the classes ``(texts,)``, or zeros that no task learns if texts have none."""
    if all(text.target is None for text in texts):
        return np.zeros(len(texts), dtype=np.float32)
    return np.array([text.target for text in texts])

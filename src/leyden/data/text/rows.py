"""Texts of a source: cleaned chunk by chunk into rows."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from leyden.data.identity import hash_names
from leyden.data.rows import GivenSplit, Ragged, RejectedItem, Rows
from leyden.data.sources.tables import Chunk
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.minhash import signatures
from leyden.errors import UserError

TEXTS_PER_CHUNK = 1024


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text of a data set, before it is cleaned.

    Attributes:
        content: its characters.
        source: its name for people.
        target: its class, by name or index; ``None`` where texts have none.
        split: that the source puts it in.
        group: what must not be torn apart by a split, such as the author; all texts or none.
        identity: What the split goes by, if it is not the source.
    """

    content: str
    source: str
    target: str | int | None = None
    split: GivenSplit = "all"
    group: str | None = None
    identity: str | None = None


def joined(chunk: Chunk, columns: Sequence[str]) -> Iterator[str]:
    """Join the cells of a row's text columns, one a line; a missing one is empty."""
    for cells in zip(*(chunk.columns[name].to_pylist() for name in columns), strict=True):
        yield "\n".join(cell or "" for cell in cells)


def text_rows(items: Iterable[Text | RejectedItem], steps: TextCleaning) -> Iterator[Rows]:
    """Clean texts and run the steps that judge them one by one.

    Args:
        items: the texts, split by split, and items that did not become one.
        steps: the cleaning steps that run.

    Raises:
        UserError: no text of some class is left.
    """
    classes: set[str | int | None] = set()
    left: set[str | int | None] = set()
    stream = iter(items)
    while chunk := list(islice(stream, TEXTS_PER_CHUNK)):
        classes.update(item.target for item in chunk if isinstance(item, Text))
        for split, members in _by_split(chunk).items():
            rows = _cleaned(split, members, steps)
            left.update(rows.targets.tolist())
            yield rows
    lost = sorted(str(name) for name in classes - left if name is not None)
    if lost and left:
        raise UserError(
            f"Not one text of the class {', '.join(lost)} holds any words. Mend the texts, remove "
            "the class, or switch steps off in data.cleaning."
        )


def passages(content: str, longest: int) -> Iterator[str]:
    """Cut a text between lines, or within ones that are too long, into pieces of bounded length.

    Args:
        content: the text.
        longest: characters of a piece.
    """
    piece = ""
    for line in content.splitlines(keepends=True):
        if piece and len(piece) + len(line) > longest:
            yield piece
            piece = ""
        piece += line
        while len(piece) > longest:
            yield piece[:longest]
            piece = piece[longest:]
    if piece:
        yield piece


def _targets(texts: Sequence[Text]) -> NDArray[np.generic]:
    """Give the classes; texts without any have a number that nobody learns."""
    if all(text.target is None for text in texts):
        return np.zeros(len(texts), dtype=np.float32)
    return np.array([text.target for text in texts])


def _by_split(
    items: Iterable[Text | RejectedItem],
) -> dict[GivenSplit, list[Text | RejectedItem]]:
    """Sort items by split, in their order; one that is rejected goes with the text before it."""
    splits: dict[GivenSplit, list[Text | RejectedItem]] = {}
    split: GivenSplit = "all"
    for item in items:
        split = item.split if isinstance(item, Text) else split
        splits.setdefault(split, []).append(item)
    return splits


def _cleaned(split: GivenSplit, items: Sequence[Text | RejectedItem], steps: TextCleaning) -> Rows:
    kept: list[Text] = []
    contents: list[str] = []
    rejected = [item for item in items if isinstance(item, RejectedItem)]
    changed: Counter[str] = Counter()
    for item in items:
        if isinstance(item, RejectedItem):
            continue
        content, mended = steps.mended(item.content)
        changed.update(mended)
        if steps.empty and not content.strip():
            # Figures of a published test split must remain comparable.
            drop = split != "test"
            rejected.append(
                RejectedItem(
                    source=item.source,
                    reason="holds no text",
                    step="empty",
                    dropped=drop,
                    target=item.target,
                )
            )
            if drop:
                continue
        kept.append(item)
        contents.append(content)
    groups = [item.group for item in kept if item.group is not None]
    encoded = (np.frombuffer(content.encode(), dtype=np.uint8) for content in contents)
    return Rows(
        arrays={"texts": Ragged.of(encoded, dtype=np.dtype(np.uint8))},
        targets=_targets(kept),
        split=split,
        sources=[item.source for item in kept],
        rejected=rejected,
        keys=hash_names(item.identity or item.source for item in kept),
        groups=np.array(groups, dtype=str) if groups else None,
        changed=changed,
        signatures=signatures(contents) if steps.near_duplicates else None,
    )

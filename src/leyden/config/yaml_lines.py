"""Lines of the keys in YAML files, which OmegaConf does not keep."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PACKAGE = "# @package "
"""Start of Hydra's own comment in the first line of a file."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A key of a YAML file, or an item of its defaults list.

    Attributes:
        file: The file.
        line: Line of the key, from 1.
        value: Its value, without tags and anchors.
        text: The value as it is written, on one line.
        comment: Comment after the value, and in the lines below it; an empty string if none.
    """

    file: Path
    line: int
    value: Any
    text: str
    comment: str


def find_entry(file: Path, path: Sequence[str]) -> Entry | None:
    """Find the key at a path of keys in a file; ``None`` if the file does not set it.

    If the file replaces a parent of the key by a value that is not a mapping, such as null, the key
    is found at that parent.
    """
    text = file.read_text(encoding="utf-8")
    node, found = yaml.compose(text, yaml.SafeLoader), None
    for name in path:
        if not isinstance(node, yaml.MappingNode):
            break
        found = next((pair for pair in node.value if pair[0].value == name), None)
        if found is None:
            return None
        node = found[1]
    return None if found is None else _entry(file, text, *found)


def find_defaults(file: Path) -> Iterator[tuple[str, Entry]]:
    """Yield the items ``GROUP: OPTION`` of a file's defaults list, by group as it is written."""
    text = file.read_text(encoding="utf-8")
    node = yaml.compose(text, yaml.SafeLoader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    defaults = next((value for key, value in pairs if key.value == "defaults"), None)
    for item in defaults.value if isinstance(defaults, yaml.SequenceNode) else ():
        if isinstance(item, yaml.MappingNode):
            for key, value in item.value:
                yield key.value, _entry(file, text, key, value)


def first_comment(file: Path) -> str:
    """Return the comment at the top of a file, without Hydra's own; it describes an option."""
    lines = file.read_text(encoding="utf-8").splitlines()[:2]
    comments = (line for line in lines if line.startswith("# ") and not line.startswith(PACKAGE))
    return next(comments, "")[2:]


def _entry(file: Path, text: str, key: yaml.Node, value: yaml.Node) -> Entry:
    plain = yaml.SafeLoader("").construct_object(value, deep=True)
    is_block = isinstance(value, yaml.CollectionNode) and not value.flow_style
    written = text[value.start_mark.index : value.end_mark.index]
    return Entry(
        file=file,
        line=key.start_mark.line + 1,
        value=plain,
        text=as_flow(plain) if is_block else " ".join(written.split()),
        comment=_comment(text.splitlines(), key if is_block else value),
    )


def as_flow(value: Any) -> str:
    """Format a plain value as YAML on one line.

    >>> as_flow({"lr": 0.1, "betas": [0.9, None]})
    '{lr: 0.1, betas: [0.9, null]}'
    """
    dumped: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=10**6, allow_unicode=True
    )
    return dumped.removesuffix("...\n").strip()


def _comment(lines: Sequence[str], node: yaml.Node) -> str:
    """Return the comment after a node, and its continuation in the lines below."""
    end = node.end_mark
    first = lines[end.line][end.column :] if end.line < len(lines) else ""
    before, sign, comment = first.partition("#")
    if not sign or before.strip(" :"):
        return ""
    words, column = [comment.strip()], end.column + len(before)
    for line in lines[end.line + 1 :]:
        if line[:column].strip() or line[column : column + 1] != "#":
            break
        words.append(line[column + 1 :].strip())
    return " ".join(words)

"""Folders of files: the class, the split and the group of each file, read out of its path."""

import logging
import os
import re
import stat
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from leyden.data.rows import SPLITS, GivenSplit, RejectedItem, Rows
from leyden.data.sources.split_names import assign_splits, parse_split
from leyden.errors import UserError
from leyden.files import file_state

log = logging.getLogger(__name__)

PATTERN_GROUPS = ("class", "group")

HIDDEN = "hidden"

MOST_REASONS = 10
"""Reasons that are reported one by one; suffixes may be any number."""


@dataclass(frozen=True, kw_only=True)
class LabelledFile:
    """A file of a data set, before it is read.

    Attributes:
        path: The file.
        source: Its path below the root, for people.
        target: Its class.
        split: GivenSplit that its folder puts it in.
        group: What must stay in one split, such as the speaker; all files have one, or none.
    """

    path: Path
    source: str
    target: str
    split: GivenSplit = "all"
    group: str | None = None


class Skipped:
    """What lies below a folder and is not read, counted by reason.

    Args:
        root: The folder.

    Attributes:
        counts: Number of files or folders by reason.
        examples: The first one by reason, as its path below the root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, path: Path, reason: str) -> None:
        """Count a file or folder."""
        self.counts[reason] += 1
        self.examples.setdefault(reason, path.relative_to(self.root).as_posix())

    def update(self, other: "Skipped") -> None:
        """Add the counts of another folder below the same root."""
        self.counts.update(other.counts)
        self.examples = other.examples | self.examples

    @property
    def unexpected(self) -> dict[str, int]:
        """Counts by reason, most frequent first, without those of hidden files."""
        return {reason: count for reason, count in self.counts.most_common() if reason != HIDDEN}

    def items(self) -> list[RejectedItem]:
        """Return a finding per reason for the cleaning report."""
        return [
            RejectedItem(
                source=self.examples[reason],
                reason=f"not read: {reason} ({count})",
                step="skipped",
                dropped=False,
                count=count,
            )
            for reason, count in self.counts.most_common(MOST_REASONS)
        ]

    def warn(self) -> None:
        """Log the counts, unless all that is skipped is hidden."""
        if self.unexpected:
            log.warning("not read below %s: %s", self.root, self)

    def __str__(self) -> str:
        counts = list(self.unexpected.items())
        named = [f"{reason} ({count})" for reason, count in counts[:MOST_REASONS]]
        if rest := sum(count for _, count in counts[MOST_REASONS:]):
            named.append(f"other reasons ({rest})")
        return ", ".join(named)


@dataclass(frozen=True, kw_only=True)
class FileType:
    """The files that a kind of data reads.

    Attributes:
        noun: What one holds, for messages.
        suffixes: Ends of their names in lower case; empty for any.
    """

    noun: str
    suffixes: Sequence[str] = ()

    def below(self, folder: Path, skipped: Skipped | None = None) -> list[Path]:
        """List such files below a folder in a fixed order.

        Links are followed, but no folder is listed twice: neither by links that lead in a circle
        nor by a link beside the folder itself, whose own path is taken.

        Args:
            folder: The folder.
            skipped: Takes what is not listed.
        """
        skipped = skipped or Skipped(folder)
        files: list[Path] = []
        listed: set[tuple[int, int]] = set()
        folders, links = [folder], deque[Path]()
        while folders or links:
            current = folders.pop() if folders else links.popleft()
            try:
                state = current.stat()
                entries = _entries(current)
            except OSError as error:
                skipped.add(current, f"folders that cannot be opened: {error.strerror}")
                continue
            if (state.st_dev, state.st_ino) in listed:
                skipped.add(current, "links to folders that are listed already")
                continue
            listed.add((state.st_dev, state.st_ino))
            for entry in entries:
                path, mode = current / entry.name, _mode(entry)
                if reason := self._reason_to_skip(entry.name, mode):
                    skipped.add(path, reason)
                elif stat.S_ISDIR(mode):
                    (links if entry.is_symlink() else folders).append(path)
                else:
                    files.append(path)
        return sorted(files)

    def count_beside_folders(self, folder: Path, skipped: Skipped) -> None:
        """Count what lies in a folder outside its visible sub-folders, where nothing is read."""
        for entry in _entries(folder):
            mode = _mode(entry)
            if reason := self._reason_to_skip(entry.name, mode):
                skipped.add(folder / entry.name, reason)
            elif not stat.S_ISDIR(mode):
                skipped.add(folder / entry.name, "beside the folders that are read")

    def inputs(self, paths: Sequence[str]) -> list[Path]:
        """List files to predict on: those given, and such files below the folders given.

        Raises:
            UserError: If a path does not exist, or a folder holds no such file.
        """
        return [file for path in paths for file in self._input(Path(path))]

    def describe_expected(self, skipped: Skipped) -> str:
        """Describe which files were expected, and what was found instead."""
        ending = f" that end in {', '.join(self.suffixes)}" if self.suffixes else ""
        return f"Expected files{ending}" + (f", got {skipped}" if skipped.unexpected else "")

    def _input(self, path: Path) -> list[Path]:
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:
            raise UserError(
                f"The input {path} does not exist. Give files or folders: input=PATH."
            ) from error
        if not stat.S_ISDIR(mode):  # also what a pipe gives, such as /dev/stdin
            return [path]
        skipped = Skipped(path)
        files = self.below(path, skipped)
        if not files:
            raise UserError(
                f"No {self.noun} found below {path}. {self.describe_expected(skipped)}."
            )
        skipped.warn()
        return files

    def _reason_to_skip(self, name: str, mode: int) -> str | None:
        if name.startswith("."):
            return HIDDEN
        if stat.S_ISDIR(mode):
            return None
        if not stat.S_ISREG(mode):  # a FIFO or a device may never end
            return "not regular files"
        suffix = Path(name).suffix.lower()
        if not self.suffixes or suffix in self.suffixes:
            return None
        return (suffix if suffix.isprintable() else ascii(suffix)) or "without a suffix"


class LabelledFolder:
    """Files in ``root/CLASS/`` or ``root/{train,val,test}/CLASS/``, or named by a pattern.

    The folder is listed once. Names of splits may be spelled in other ways (``split_names``).

    Args:
        root: The folder.
        files: The files that count.
        pattern: Regular expression that is searched in each file's path below the root, with ``/``
            between folders: what its group ``class`` matches is the class, and what its group
            ``group`` matches, if there is one, the group. ``None``: folders are the classes.
        group: Regular expression whose one group is searched likewise and gives the group.
    """

    def __init__(
        self, root: str, *, files: FileType, pattern: str | None = None, group: str | None = None
    ) -> None:
        self.root = Path(root).expanduser()
        self.type = files
        self.pattern = None if pattern is None else _class_pattern(pattern)
        self.group = None if group is None else _group_pattern(group)
        if self.group and self.pattern and "group" in self.pattern.groupindex:
            raise UserError(
                "data.pattern has a group 'group' and data.group is given too. Expected one of "
                "them to name the groups; take the other away."
            )

    def settings(self) -> dict[str, Any]:
        """Fingerprint every file by its path, size and time, its labels, and what is skipped."""
        files, skipped = self._listing
        return {
            "root": str(self.root.resolve()),
            "files": [(file.source, *file_state(file.path)) for file in files],
            "patterns": [each and each.pattern for each in (self.pattern, self.group)],
            "skipped": skipped.unexpected,
        }

    def __iter__(self) -> Iterator[LabelledFile]:
        """Yield the files split by split, in a fixed order.

        Raises:
            UserError: If the layout would be misread, or a pattern finds nothing in a path.
        """
        return iter(self._listing[0])

    def report_skipped(self) -> Rows:
        """Return a chunk without rows that reports what is not read, and log a warning."""
        skipped = self._listing[1]
        skipped.warn()
        return reject(skipped.items())

    @cached_property
    def _listing(self) -> tuple[list[LabelledFile], Skipped]:
        if not self.root.is_dir():
            raise UserError(
                f"data.root={self.root} is not a folder. Expected one with a sub-folder per class."
            )
        skipped = Skipped(self.root)
        given = _find_splits(self.root, by_pattern=self.pattern is not None)
        if given:
            self.type.count_beside_folders(self.root, skipped)
        files: list[LabelledFile] = []
        for split, folder in (given or {"all": self.root}).items():
            if self.pattern is None:
                files += self._by_folder(split, folder, skipped)
            else:
                files += self._by_pattern(split, folder, skipped, self.pattern)
        return files, skipped

    def _by_folder(
        self, split: GivenSplit, folder: Path, skipped: Skipped
    ) -> Iterator[LabelledFile]:
        classes = _visible_folders(folder)
        if len(classes) < 2:
            inner = [each for each in classes if split == "all" and _visible_folders(each)]
            raise UserError(
                f"{folder} holds {len(classes)} sub-folders. Expected one per class, so two at "
                "least, or data.pattern=REGEX that reads the class out of the paths of files"
                + "".join(f"; or give data.root={each}" for each in inner)
                + "."
            )
        self.type.count_beside_folders(folder, skipped)
        for class_folder in classes:
            _check_class_folder(class_folder)
            skipped_here = Skipped(self.root)
            files = self.type.below(class_folder, skipped_here)
            if not files:
                raise UserError(
                    f"The class folder {class_folder} holds no {self.type.noun}. "
                    f"{self.type.describe_expected(skipped_here)}; add some or remove the folder."
                )
            skipped.update(skipped_here)
            for file in files:
                yield self._labelled(split, file, target=class_folder.name)

    def _by_pattern(
        self, split: GivenSplit, folder: Path, skipped: Skipped, pattern: re.Pattern[str]
    ) -> Iterator[LabelledFile]:
        files = self.type.below(folder, skipped)
        if not files:
            raise UserError(
                f"No {self.type.noun} found below {folder}. {self.type.describe_expected(skipped)}."
            )
        for file in files:
            found = self._found("data.pattern", pattern, file)
            yield self._labelled(split, file, target=found["class"], group=found.get("group"))

    def _labelled(
        self, split: GivenSplit, file: Path, *, target: str, group: str | None = None
    ) -> LabelledFile:
        if self.group is not None:
            group = self._found("data.group", self.group, file)["group"]
        source = file.relative_to(self.root).as_posix()
        return LabelledFile(path=file, source=source, target=target, split=split, group=group)

    def _found(self, key: str, pattern: re.Pattern[str], file: Path) -> dict[str, str]:
        path = file.relative_to(self.root).as_posix()
        found = pattern.search(path)
        names = (found.groupdict() or {"group": found[1]}) if found else {}
        if not names or not all(names.values()):
            raise UserError(
                f"{key}={pattern.pattern} finds no {' and '.join(pattern.groupindex) or 'group'} "
                f"in {path}. Expected something in every path below {self.root}: change the "
                "expression, or move the file away."
            )
        return names


def reject(items: Sequence[RejectedItem]) -> Rows:
    """Return a chunk without rows that holds rejected items."""
    nothing = np.empty(0, dtype=str)
    return Rows(arrays={}, targets=nothing, split="all", sources=[], rejected=items)


def _class_pattern(pattern: str) -> re.Pattern[str]:
    compiled = _compiled("data.pattern", pattern, example=r"(?P<class>[a-z]+)_(?P<group>\d+)")
    names = set(compiled.groupindex)
    if "class" not in names or not names <= set(PATTERN_GROUPS) or compiled.groups > len(names):
        raise UserError(
            f"data.pattern={pattern} has the groups {', '.join(sorted(names)) or 'none by name'}. "
            "Expected (?P<class>…), also (?P<group>…) if wanted, and (?:…) for anything else."
        )
    return compiled


def _group_pattern(pattern: str) -> re.Pattern[str]:
    compiled = _compiled("data.group", pattern, example=r"speaker(\d+)")
    if compiled.groups != 1 or set(compiled.groupindex) - {"group"}:
        raise UserError(
            f"data.group={pattern} has {compiled.groups} groups. Expected one, (…) around what "
            "names the group, and (?:…) for anything else."
        )
    return compiled


def _compiled(key: str, pattern: str, *, example: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"{key}={pattern} is no regular expression: {error}. Expected one such as '{example}'."
        ) from error


def _find_splits(root: Path, *, by_pattern: bool) -> dict[GivenSplit, Path]:
    """Find the folders of splits; none if the folders of the root are classes.

    A class may have a name such as ``dev`` or ``valid`` if it is beside other classes and holds no
    folders; ``train``, ``val`` and ``test`` are always splits.

    Raises:
        UserError: If a folder may be either, or two mean the same split.
    """
    folders = _visible_folders(root)
    meant = {folder.name: meaning for folder in folders if (meaning := parse_split(folder.name))}
    if "train" in meant.values() and len(meant) == len(folders):
        return {split: root / name for split, name in _assign_splits(root, list(meant)).items()}
    for name in meant:
        if name.lower() in SPLITS or (not by_pattern and _visible_folders(root / name)):
            others = len(folders) - len(meant)
            found = f"beside {others} that do not" if others else "and no training split"
            raise _misread(root, f"the folders {', '.join(meant)}, which mean splits, {found}")
    if meant and not by_pattern:
        log.warning("classes, not splits, because they hold no folders: %s", ", ".join(meant))
    return {}


def _assign_splits(root: Path, names: Sequence[str]) -> dict[GivenSplit, str]:
    """Assign one folder to each split."""
    splits = assign_splits(names)
    folders: dict[GivenSplit, str] = {}
    for name in names:
        if name not in splits:
            raise _misread(root, f"{name}, which may mean val or test")
        if (other := folders.setdefault(splits[name], name)) != name:
            raise _misread(root, f"{other} and {name}, which mean the same split")
    if renamed := [f"{name}/ is {split}" for split, name in folders.items() if split != name]:
        log.info("splits: %s", ", ".join(renamed))
    return {split: folders[split] for split in SPLITS if split in folders}


def _misread(root: Path, found: str) -> UserError:
    return UserError(
        f"data.root={root} holds {found}. Expected either a sub-folder per class, or train/ with "
        "val/ and test/ as you like, and nothing else; rename the folders, also those of classes "
        "that are called like a split."
    )


def _check_class_folder(folder: Path) -> None:
    """Refuse splits below a class, which would all be learned."""
    names = [each.name for each in _visible_folders(folder)]
    meant = {meaning: name for name in names if (meaning := parse_split(name))}
    if "train" in meant and len(meant) > 1:
        raise UserError(
            f"{folder} holds {' and '.join(meant.values())}, which mean splits, but is taken for "
            f"the folder of a class. Expected ROOT/train/{folder.name}: move the classes into the "
            f"splits; or give data.root={folder} if it holds the splits."
        )


def _visible_folders(folder: Path) -> list[Path]:
    """List the sub-folders in order, also those that links lead to."""
    try:
        entries = _entries(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be opened: {error.strerror}.") from error
    return [
        folder / entry.name
        for entry in entries
        if not entry.name.startswith(".") and _is_folder(entry)
    ]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    if not entry.is_symlink():
        return entry.is_dir()  # which asks the disk no more
    return stat.S_ISDIR(_mode(entry))


def _mode(entry: os.DirEntry[str]) -> int:
    """Return the mode of what an entry is or links to."""
    try:
        return entry.stat().st_mode
    except OSError:  # a link that leads nowhere, which the attempt to read it will tell
        return stat.S_IFREG

"""Folders of files: the class, the split and the group of each file, read from its path."""

import logging
import os
import re
import stat
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
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

HIDDEN = "hidden"
"""Reason for skipping files whose names begin with a dot."""

MOST_REASONS = 10
"""Reasons that are reported one by one, because any suffix may be one."""


@dataclass(frozen=True, kw_only=True)
class LabelledFile:
    """A file of a data set, before it is read.

    Attributes:
        path: Path of the file.
        source: Path below the root of the data set, as the display name of the row.
        target: Class name.
        split: Split of the folder that the file is in.
        group: Name of what must stay in one split, such as the speaker; all files have one, or
            none.
    """

    path: Path
    source: str
    target: str
    split: GivenSplit = "all"
    group: str | None = None


class Skipped:
    """Counts of the files and folders below a root that are not read, by reason.

    Args:
        root: Folder that examples are named relative to.

    Attributes:
        counts: Number of files or folders by reason.
        examples: Path of the first one below the root, by reason.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def add(self, path: Path, reason: str) -> None:
        """Count a file or folder."""
        self.counts[reason] += 1
        self.examples.setdefault(reason, path.relative_to(self.root).as_posix())

    def add_unopened(self, error: OSError) -> None:
        """Count a folder that cannot be opened; the error handler of ``os.walk``."""
        self.add(Path(error.filename), f"folders that cannot be opened: {error.strerror}")

    def visible(self, folder: Path, names: Collection[str]) -> list[str]:
        """Count the hidden names of a folder's entries, and return the others in sorted order."""
        hidden = [name for name in names if name.startswith(".")]
        for name in hidden:
            self.add(folder / name, HIDDEN)
        return sorted(set(names) - set(hidden))

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
        """Log the counts, unless only hidden files are skipped."""
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
        noun: Name of their content in messages, such as ``image``.
        suffixes: Suffixes of their names in lower case; empty for any.
    """

    noun: str
    suffixes: Sequence[str] = ()

    def below(self, folder: Path, skipped: Skipped | None = None) -> list[Path]:
        """List the files of this type below a folder in sorted order.

        Links are followed, but no folder is listed twice: neither by links that form a circle
        nor by a link to a folder that is listed under its own path.

        Args:
            folder: Folder to walk.
            skipped: Counter to which everything else below the folder is added.
        """
        skipped = skipped or Skipped(folder)
        return sorted(self._select(_files_below(folder, skipped), skipped))

    def require_below(self, folder: Path, skipped: Skipped, *, otherwise: str) -> list[Path]:
        """List the files of this type below a folder, of which there must be one at least.

        Args:
            folder: Folder to walk.
            skipped: Counter to which everything else below the folder is added.
            otherwise: Alternative to adding files, for the message.

        Raises:
            UserError: If there is no such file; the message names what was found instead.
        """
        skipped_here = Skipped(skipped.root)
        files = self.below(folder, skipped_here)
        if not files:
            ending = f" that end in {', '.join(self.suffixes)}" if self.suffixes else ""
            found = f", got {skipped_here}" if skipped_here.unexpected else ""
            raise UserError(
                f"No {self.noun} found below {folder}. Expected files{ending}{found}; add some or "
                f"{otherwise}."
            )
        skipped.update(skipped_here)
        return files

    def count_beside_folders(self, folder: Path, skipped: Skipped) -> None:
        """Count the entries of a folder that are not visible sub-folders, and so are not read."""
        _, folders, names = next(os.walk(folder))
        skipped.visible(folder, folders)
        paths = (folder / name for name in skipped.visible(folder, names))
        for path in self._select(paths, skipped):
            skipped.add(path, "beside the folders that are read")

    def inputs(self, paths: Sequence[str]) -> list[Path]:
        """List files to predict on: those given, and files of this type below the folders given.

        Raises:
            UserError: If a path does not exist, or a folder holds no such file.
        """
        return [file for path in paths for file in self._inputs_at(Path(path))]

    def _inputs_at(self, path: Path) -> list[Path]:
        if not os.path.exists(path):  # noqa: PTH110  # Path.exists raises if a name is too long
            raise UserError(f"The input {path} does not exist. Give files or folders: input=PATH.")
        if not path.is_dir():  # a pipe, such as /dev/stdin, is read too
            return [path]
        skipped = Skipped(path)
        files = self.require_below(path, skipped, otherwise="give another input=PATH")
        skipped.warn()
        return files

    def _select(self, paths: Iterable[Path], skipped: Skipped) -> Iterator[Path]:
        for path in paths:
            suffix = path.suffix.lower()
            if is_special(path):
                skipped.add(path, "not regular files")
            elif self.suffixes and suffix not in self.suffixes:
                name = suffix if suffix.isprintable() else ascii(suffix)
                skipped.add(path, name or "without a suffix")
            else:
                yield path


class LabelledFolder:
    """Files in ``root/CLASS/`` or ``root/{train,val,test}/CLASS/``, or labelled by a pattern.

    The folder is listed once. Split folders may have other usual names (``split_names``).

    Args:
        root: Root folder of the data set.
        files: Type of the files that are rows.
        pattern: Regular expression that is searched in each file's path below the root, with ``/``
            between folders. Its group ``class`` matches the class, and its group ``group``, if it
            has one, the group of the row. ``None`` if classes are folders.
        group: Regular expression that is searched in the same way; its only group matches the
            group of the row.

    Raises:
        UserError: If an expression is invalid or has other groups, or both name groups of rows.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        files: FileType,
        pattern: str | None = None,
        group: str | None = None,
    ) -> None:
        self.root = Path(root).expanduser()
        self.type = files
        self.patterns: dict[str, re.Pattern[str]] = {}
        if pattern is not None:
            self.patterns["data.pattern"] = _class_pattern(pattern)
        if group is not None:
            self.patterns["data.group"] = _group_pattern(group)
        if len(self.patterns) == 2 and "group" in self.patterns["data.pattern"].groupindex:
            raise UserError(
                "data.pattern has a group 'group' and data.group is given too. Expected one of "
                "them to name the groups; remove the other."
            )

    def settings(self) -> dict[str, Any]:
        """Return what identifies the rows: paths, sizes and times of all files, and the labels.

        Raises:
            UserError: For the same reasons as iteration.
        """
        files, skipped = self._listing
        return {
            "root": str(self.root.resolve()),
            "files": [(file.source, *file_state(file.path)) for file in files],
            "patterns": {key: pattern.pattern for key, pattern in self.patterns.items()},
            "skipped": skipped.unexpected,
        }

    def __iter__(self) -> Iterator[LabelledFile]:
        """Yield the files split by split, in a fixed order.

        Raises:
            UserError: If the layout is ambiguous, or a pattern does not match in a path.
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
        by_pattern = "data.pattern" in self.patterns
        given = _find_splits(self.root, by_pattern=by_pattern)
        if given:
            self.type.count_beside_folders(self.root, skipped)
        files: list[LabelledFile] = []
        for split, folder in (given or {"all": self.root}).items():
            folders = [folder] if by_pattern else self._class_folders(split, folder, skipped)
            otherwise = "give another data.root" if by_pattern else "remove the folder"
            for each in folders:
                found = self.type.require_below(each, skipped, otherwise=otherwise)
                files += [self._labelled(split, file, class_name=each.name) for file in found]
        return files, skipped

    def _class_folders(self, split: GivenSplit, folder: Path, skipped: Skipped) -> list[Path]:
        classes = _visible_folders(folder)
        if len(classes) < 2:
            inner = [each for each in classes if split == "all" and _visible_folders(each)]
            raise UserError(
                f"{folder} holds {len(classes)} sub-folders. Expected one per class, so two at "
                "least, or data.pattern=REGEX that reads the class from the paths of files"
                + "".join(f"; or give data.root={each}" for each in inner)
                + "."
            )
        self.type.count_beside_folders(folder, skipped)
        for each in classes:
            _check_class_folder(each)
        return classes

    def _labelled(self, split: GivenSplit, file: Path, *, class_name: str) -> LabelledFile:
        source = file.relative_to(self.root).as_posix()
        labels = {"class": class_name}
        for key, pattern in self.patterns.items():
            labels |= self._match(key, pattern, source)
        return LabelledFile(
            path=file,
            source=source,
            target=labels["class"],
            split=split,
            group=labels.get("group"),
        )

    def _match(self, key: str, pattern: re.Pattern[str], path: str) -> dict[str, str]:
        """Return the labels that a pattern finds in a path, by the names of its groups."""
        found = pattern.search(path)
        labels = (found.groupdict() or {"group": found[1]}) if found else {}
        if not labels or not all(labels.values()):
            raise UserError(
                f"{key}={pattern.pattern} finds no {' and '.join(pattern.groupindex) or 'group'} "
                f"in {path}. Expected something in every path below {self.root}: change the "
                "expression, or move the file away."
            )
        return labels


def reject(items: Sequence[RejectedItem]) -> Rows:
    """Return a chunk that holds rejected items and no rows."""
    nothing = np.empty(0, dtype=str)
    return Rows(arrays={}, targets=nothing, split="all", sources=[], rejected=items)


def is_special(path: Path) -> bool:
    """Whether a path is a FIFO, a device or a socket, so that reading it may never end.

    Raises:
        ValueError: If no file can have such a name.
    """
    try:
        mode = path.stat().st_mode
    except OSError:  # a dangling link, which fails when it is read
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _class_pattern(pattern: str) -> re.Pattern[str]:
    compiled = _compiled("data.pattern", pattern, example=r"(?P<class>[a-z]+)_(?P<group>\d+)")
    names = set(compiled.groupindex)
    if "class" not in names or not names <= {"class", "group"} or compiled.groups > len(names):
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
            f"{key}={pattern} is not a regular expression: {error}. Expected one such as "
            f"'{example}'."
        ) from error


def _find_splits(root: Path, *, by_pattern: bool) -> dict[GivenSplit, Path]:
    """Return the folder of each split; empty if the sub-folders of the root are classes.

    A class may have a name such as ``dev`` or ``valid`` if there are other classes and its folder
    has no sub-folders; ``train``, ``val`` and ``test`` are always splits.

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
            raise _ambiguous(root, f"the folders {', '.join(meant)}, which mean splits, {found}")
    if meant and not by_pattern:
        log.warning("classes, not splits, because they hold no folders: %s", ", ".join(meant))
    return {}


def _assign_splits(root: Path, names: Sequence[str]) -> dict[GivenSplit, str]:
    """Assign one folder to each split."""
    splits = assign_splits(names)
    folders: dict[GivenSplit, str] = {}
    for name in names:
        if name not in splits:
            raise _ambiguous(root, f"{name}, which may mean val or test")
        if (other := folders.setdefault(splits[name], name)) != name:
            raise _ambiguous(root, f"{other} and {name}, which mean the same split")
    if renamed := [f"{name}/ is {split}" for split, name in folders.items() if split != name]:
        log.info("splits: %s", ", ".join(renamed))
    return {split: folders[split] for split in SPLITS if split in folders}


def _ambiguous(root: Path, found: str) -> UserError:
    return UserError(
        f"data.root={root} holds {found}. Expected either a sub-folder per class, or train/ with "
        "or without val/ and test/, and nothing else; rename the folders, including those of "
        "classes that have the name of a split."
    )


def _check_class_folder(folder: Path) -> None:
    """Raise if a class folder holds splits, whose files would all become training rows."""
    names = [each.name for each in _visible_folders(folder)]
    meant = {meaning: name for name in names if (meaning := parse_split(name))}
    if "train" in meant and len(meant) > 1:
        raise UserError(
            f"{folder} holds {' and '.join(meant.values())}, which mean splits, but counts as "
            f"the folder of a class. Expected ROOT/train/{folder.name}: move the classes into the "
            f"splits; or give data.root={folder} if it holds the splits."
        )


def _files_below(folder: Path, skipped: Skipped) -> Iterator[Path]:
    """Walk a folder, and after it the folders that links in it lead to."""
    listed: set[tuple[int, int]] = set()
    pending = deque([folder])
    while pending:
        for name, folders, names in os.walk(pending.popleft(), onerror=skipped.add_unopened):
            current = Path(name)
            state = current.stat()
            if (state.st_dev, state.st_ino) in listed:
                skipped.add(current, "links to folders that are listed already")
                folders.clear()
                continue
            listed.add((state.st_dev, state.st_ino))
            folders[:] = skipped.visible(current, folders)
            pending.extend(path for each in folders if (path := current / each).is_symlink())
            yield from (current / each for each in skipped.visible(current, names))


def _visible_folders(folder: Path) -> list[Path]:
    """List the sub-folders, including links to folders, in sorted order."""

    def refuse(error: OSError) -> None:
        raise UserError(f"{folder} cannot be opened: {error.strerror}.") from error

    _, names, _ = next(os.walk(folder, onerror=refuse))
    return [folder / name for name in sorted(names) if not name.startswith(".")]

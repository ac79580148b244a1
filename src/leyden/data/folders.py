"""Folders of files: the class, the part and the group of each, told by its path."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leyden.data import cache
from leyden.data.rows import Part
from leyden.errors import UserError

GIVEN_PARTS: tuple[Part, ...] = ("train", "val", "test")

PATTERN_GROUPS = ("class", "group")


@dataclass(frozen=True, kw_only=True)
class LabelledFile:
    """A file of a data set, before it is read.

    Attributes:
        path: the file.
        source: its path below the root, for people.
        target: its class.
        part: that its folder puts it in.
        group: what must not be torn apart by a split, such as the speaker; all files or none.
    """

    path: Path
    source: str
    target: str
    part: Part = "all"
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class FileType:
    """The files that a kind of data reads.

    Attributes:
        noun: what one holds, for messages.
        suffixes: how their names end, in lower case; any where there are none.
    """

    noun: str
    suffixes: Sequence[str] = ()

    def below(self, folder: Path) -> list[Path]:
        """List such files below a folder in a fixed order, but for hidden ones."""
        return sorted(
            file
            for file in folder.rglob("*")
            if not file.is_dir()
            and (not self.suffixes or file.suffix.lower() in self.suffixes)
            and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        )

    def inputs(self, paths: Sequence[str]) -> list[Path]:
        """List files to predict on: those given, and such files below the folders given.

        Raises:
            UserError: a path does not exist, or a folder holds no such file.
        """
        return [file for path in paths for file in self._input(Path(path))]

    @property
    def expected(self) -> str:
        """Word which files are looked for."""
        ending = f" that end in {', '.join(self.suffixes)}" if self.suffixes else ""
        return f"files{ending}"

    def _input(self, path: Path) -> list[Path]:
        if path.exists() and not path.is_dir():  # also what a pipe gives, such as /dev/stdin
            return [path]
        if not path.is_dir():
            raise UserError(f"The input {path} does not exist. Give files or folders: input=PATH.")
        files = self.below(path)
        if not files:
            raise UserError(f"No {self.noun} found below {path}. Expected {self.expected}.")
        return files


class LabelledFolder:
    """Files in ``root/CLASS/`` or ``root/{train,val,test}/CLASS/``, or named by a pattern.

    Args:
        root: the folder.
        files: which files count.
        pattern: regular expression that is searched in each file's path below the root, with ``/``
            between folders: what its group ``class`` matches is the class, and what its group
            ``group`` matches, if there is one, the group. ``None``: folders are the classes.
        group: regular expression whose one group is searched likewise and gives the group.
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
        """Fingerprint every file by its path, size and time, and what labels it."""
        files = [(file.source, *cache.file_state(file.path)) for file in self]
        patterns = [each and each.pattern for each in (self.pattern, self.group)]
        return {"root": str(self.root.resolve()), "files": files, "patterns": patterns}

    def __iter__(self) -> Iterator[LabelledFile]:
        """List the files part by part, in a fixed order.

        Raises:
            UserError: the layout would be misread, or a pattern finds nothing in a path.
        """
        if not self.root.is_dir():
            raise UserError(
                f"data.root={self.root} is not a folder. Expected one with a sub-folder per class."
            )
        parts = [part for part in GIVEN_PARTS if (self.root / part).is_dir()]
        if parts:
            self._check_parts(parts)
        for part in parts or ["all"]:
            folder = self.root if part == "all" else self.root / part
            if self.pattern is None:
                yield from self._by_folder(part, folder)
            else:
                yield from self._by_pattern(part, folder, self.pattern)

    def _check_parts(self, parts: list[Part]) -> None:
        """Refuse a layout in which a part would be taken for a class, or for nothing."""
        others = sorted({entry.name for entry in _visible_folders(self.root)}.difference(parts))
        if "train" not in parts or others:
            raise UserError(
                f"data.root={self.root} holds {', '.join([*parts, *others])}. Expected either a "
                "sub-folder per class, or train/ with val/ and test/ as you like, and nothing "
                "else; rename the folders, those of classes called like a part too."
            )

    def _by_folder(self, part: Part, folder: Path) -> Iterator[LabelledFile]:
        classes = _visible_folders(folder)
        if len(classes) < 2:
            raise UserError(
                f"{folder} holds {len(classes)} sub-folders. Expected one per class, so two at "
                "least, or data.pattern=REGEX that reads the class out of the paths of files."
            )
        for class_folder in classes:
            files = self.type.below(class_folder)
            if not files:
                raise UserError(
                    f"The class folder {class_folder} holds no {self.type.noun}. Expected "
                    f"{self.type.expected}; add some or remove the folder."
                )
            for file in files:
                yield self._labelled(part, file, target=class_folder.name)

    def _by_pattern(
        self, part: Part, folder: Path, pattern: re.Pattern[str]
    ) -> Iterator[LabelledFile]:
        files = self.type.below(folder)
        if not files:
            raise UserError(f"No {self.type.noun} found below {folder}.")
        for file in files:
            found = self._found("data.pattern", pattern, file)
            yield self._labelled(part, file, target=found["class"], group=found.get("group"))

    def _labelled(
        self, part: Part, file: Path, *, target: str, group: str | None = None
    ) -> LabelledFile:
        if self.group is not None:
            group = self._found("data.group", self.group, file)["group"]
        source = file.relative_to(self.root).as_posix()
        return LabelledFile(path=file, source=source, target=target, part=part, group=group)

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


def _visible_folders(folder: Path) -> list[Path]:
    return sorted(
        entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )

"""Tables of paths: each row holds the path of a file and its target."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from leyden.data.rows import GIVEN_SPLITS, RejectedItem, Rows
from leyden.data.sources.folders import LabelledFile, is_special, reject
from leyden.data.sources.split_names import assign_splits, parse_split
from leyden.data.sources.tables import TableFile
from leyden.errors import UserError
from leyden.files import DataPath, file_state


class PathTable:
    """Files whose paths, targets, groups and splits are cells of a table, which is read once.

    Args:
        table: Table with one row per file.
        columns: Name of the column by content: ``path``, ``target``, ``group`` and ``split``;
            ``None`` if the table has no such column.
        root: Folder that relative paths start from; ``None`` for the folder of the table.
        root_key: Config key of ``root``, for messages.
        empty_targets: Whether an empty cell is a target, such as the transcript of silence; a
            missing cell never is.
    """

    def __init__(
        self,
        table: TableFile,
        *,
        columns: Mapping[str, str | None],
        root: DataPath | None,
        root_key: str = "data.root",
        empty_targets: bool = False,
    ) -> None:
        self.table = table
        self.columns = {field: name for field, name in columns.items() if name is not None}
        self.root = Path(root).expanduser() if root else table.path.parent
        self.root_key = root_key
        self.empty_targets = empty_targets

    def settings(self) -> dict[str, Any]:
        """Return what identifies the rows: path, size and times of the table and of all files.

        Raises:
            UserError: For the same reasons as iteration.
        """
        return {
            "table": (str(self.table.path.resolve()), *file_state(self.table.path)),
            "how": [self.table.encoding, self.table.separator, self.columns],
            "root": str(self.root.resolve()),
            "files": [(file.source, *file_state(file.path)) for file in self],
        }

    def __iter__(self) -> Iterator[LabelledFile]:
        """Yield the files split by split, in the order of their rows.

        Raises:
            UserError: If the table cannot be read or lacks a column, the root is not a folder, or
                the name of a split is unknown or ambiguous.
        """
        return iter(self._listing[0])

    def report_skipped(self) -> Rows:
        """Return a chunk without rows that reports the rows of the table that are not read."""
        return reject(self._listing[1])

    @cached_property
    def _listing(self) -> tuple[list[LabelledFile], list[RejectedItem]]:
        files: list[LabelledFile] = []
        names: list[str] = []  # of their splits
        first_rows: dict[str, str] = {}
        rejected: list[RejectedItem] = []
        for row, cells in self._rows(rejected):
            if lacking := [self.columns[field] for field, cell in cells.items() if cell is None]:
                reason = f"has no value in {' and '.join(lacking)}"
                rejected.append(RejectedItem(source=row, reason=reason))
                continue
            file = self._labelled(cells)
            if fault := _fault(file.path):
                rejected.append(RejectedItem(source=row, reason=fault, target=file.target))
                continue
            files.append(file)
            names.append(cells.get("split") or "all")
            first_rows.setdefault(names[-1], row)
        if not self.root.is_dir():
            raise UserError(
                f"{self.root_key}={self.root} is not a folder. Expected the one that the paths in "
                f"the column {self.columns['path']!r} of {self.table.path} start from."
            )
        return self._assign_splits(files, names, first_rows), rejected

    def _rows(self, rejected: list[RejectedItem]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the display name of each row and its trimmed cells, ``None`` if missing."""
        for chunk in self.table.chunks(list(self.columns.values())):
            rejected.extend(chunk.rejected)
            columns = [chunk.columns[name].to_pylist() for name in self.columns.values()]
            for row, *cells in zip(chunk.sources, *columns, strict=True):
                named = zip(self.columns, cells, strict=True)
                yield row, {field: self._value(field, cell) for field, cell in named}

    def _value(self, field: str, cell: str | None) -> str | None:
        value = cell and cell.strip()
        return value if field == "target" and self.empty_targets else value or None

    def _labelled(self, cells: Mapping[str, Any]) -> LabelledFile:
        root = self.root.absolute()
        file = root / cells["path"]
        if not os.path.exists(file):  # noqa: PTH110  # Path.exists raises if a name is too long
            file = root / cells["path"].replace("\\", "/")  # as Windows writes it
        # Rows are split by the hash of this name, which must not change when all files are moved.
        source = (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()
        return LabelledFile(
            path=file, source=source, target=cells["target"], group=cells.get("group")
        )

    def _assign_splits(
        self, files: list[LabelledFile], names: list[str], first_rows: Mapping[str, str]
    ) -> list[LabelledFile]:
        """Return the files with their splits, sorted by split.

        Args:
            files: Files without their splits.
            names: Cell of the split of each file.
            first_rows: Display name of the first row of each of these cells.

        Raises:
            UserError: If a name means no split or may mean two; the message names its first row.
        """
        split_of = assign_splits(first_rows)
        for name, row in first_rows.items():
            if name not in split_of:
                means = "may mean val or test" if parse_split(name) else "means no split"
                raise UserError(
                    f"{row} of {self.table.path} is in the split {name!r}, which {means}. Expected "
                    f"train, val or test in the column {self.columns['split']!r}, or all for rows "
                    "that are to be split."
                )
        placed = [
            replace(file, split=split_of[name]) for file, name in zip(files, names, strict=True)
        ]
        return sorted(placed, key=lambda file: GIVEN_SPLITS.index(file.split))


def _fault(path: Path) -> str | None:
    """Return why a file must not be opened; a missing one may be, which gives the reason."""
    try:
        return "not a regular file, so that reading it may never end" if is_special(path) else None
    except ValueError as error:  # a name that no file can have
        return str(error)

"""Images in tables: each row names a file and its class."""

import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from leyden.data.image.listed import ListedImages
from leyden.data.rows import GIVEN_SPLITS, RejectedItem, Rows
from leyden.data.sources.folders import LabelledFile, reject
from leyden.data.sources.split_names import assign_splits
from leyden.data.sources.tables import TableFile
from leyden.errors import UserError
from leyden.files import file_state


class ImageTable(ListedImages):
    """Image files that a CSV, TSV, JSON lines or Parquet file lists with their classes.

    A split that is not given is held out from the training split.

    Args:
        path: The table.
        image: Column of the image files' paths.
        target: Column of the classes.
        root: Folder that relative paths start from; ``None`` for that of the table.
        group: Column of what must stay in one split, such as the patient.
        split_column: Column of the rows' splits: train, val or test, in any usual spelling, or all.
        encoding: Encoding of the table.
        separator: Separator of cells in CSV; ``None`` for the likeliest.
        options: Options of all listed images.
    """

    def __init__(
        self,
        *,
        path: str,
        image: str,
        target: str,
        root: str | None = None,
        group: str | None = None,
        split_column: str | None = None,
        encoding: str = "utf-8",
        separator: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        table = TableFile(path=Path(path).expanduser(), encoding=encoding, separator=separator)
        columns = {"image": image, "target": target, "group": group, "split": split_column}
        self.listing = LabelledPaths(
            table,
            root=Path(root).expanduser() if root else table.path.parent,
            columns={field: column for field, column in columns.items() if column is not None},
        )


class LabelledPaths:
    """Files that the rows of a table name, split by split. The table is read once.

    Args:
        table: The table.
        root: Folder that relative paths start from.
        columns: Columns by what they hold: ``image``, ``target``, also ``group`` and ``split``.
    """

    def __init__(self, table: TableFile, *, root: Path, columns: Mapping[str, str]) -> None:
        self.table = table
        self.root = root.absolute()
        self.columns = dict(columns)

    def settings(self) -> dict[str, Any]:
        """Fingerprint the table and every file by its path, size and time."""
        return {
            "table": (str(self.table.path.resolve()), *file_state(self.table.path)),
            "how": [self.table.encoding, self.table.separator, self.columns],
            "root": str(self.root.resolve()),
            "files": [(file.source, *file_state(file.path)) for file in self],
        }

    def __iter__(self) -> Iterator[LabelledFile]:
        """Yield the files split by split, in the order of their rows.

        Raises:
            UserError: If the table cannot be read, or a split is unknown.
        """
        return iter(self._listing[0])

    def report_skipped(self) -> Rows:
        """Return a chunk without rows that reports the rows of the table that name no file."""
        return reject(self._listing[1])

    @cached_property
    def _listing(self) -> tuple[list[LabelledFile], list[RejectedItem]]:
        files: list[LabelledFile] = []
        splits: list[str] = []
        rejected: list[RejectedItem] = []
        for row, cells in self._rows(rejected):
            lacking = [self.columns[field] for field, cell in cells.items() if not cell]
            path = self._path(cells["image"])
            if lacking:
                reason = f"has no value in {' and '.join(lacking)}"
                rejected.append(RejectedItem(source=row, reason=reason))
            elif fault := _fault(path):
                rejected.append(RejectedItem(source=row, reason=fault, target=cells["target"]))
            else:
                files.append(self._labelled(path, cells))
                splits.append(cells.get("split", ""))
        if "split" in self.columns:
            files = self._assign_splits(files, splits)
        return files, rejected

    def _rows(self, rejected: list[RejectedItem]) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the name and the cells of each row; those that are missing are empty."""
        for chunk in self.table.chunks(list(self.columns.values())):
            rejected.extend(chunk.rejected)
            columns = [chunk.columns[name].to_pylist() for name in self.columns.values()]
            for row, *cells in zip(chunk.sources, *columns, strict=True):
                stripped = [(cell or "").strip() for cell in cells]
                yield row, dict(zip(self.columns, stripped, strict=True))

    def _path(self, name: str) -> Path:
        """Build the path of a file, which may be named as on Windows."""
        path = self.root / name
        try:
            path.stat()
        except (OSError, ValueError):
            return self.root / name.replace("\\", "/")
        return path

    def _labelled(self, path: Path, cells: Mapping[str, str]) -> LabelledFile:
        # Rows are split by the hash of this name, so it stays when all files are moved.
        below = path.is_relative_to(self.root)
        source = (path.relative_to(self.root) if below else path).as_posix()
        return LabelledFile(
            path=path, source=source, target=cells["target"], group=cells.get("group")
        )

    def _assign_splits(self, files: list[LabelledFile], names: list[str]) -> list[LabelledFile]:
        split_of = assign_splits(names)
        if unknown := sorted(set(names) - set(split_of)):
            raise UserError(
                f"The column {self.columns['split']} of {self.table.path} holds {unknown[0]!r}. "
                "Expected train, val and test, or the like, or all for rows that are to be split."
            )
        placed = [
            replace(file, split=split_of[name]) for file, name in zip(files, names, strict=True)
        ]
        return sorted(placed, key=lambda file: GIVEN_SPLITS.index(file.split))


def _fault(path: Path) -> str | None:
    """Return why a file must not be opened; one that is missing may, which tells."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    except ValueError as error:  # a name that no file can have
        return str(error)
    regular = stat.S_ISREG(mode) or stat.S_ISDIR(mode)
    return None if regular else "not a regular file, so that reading it may never end"

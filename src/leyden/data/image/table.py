"""Images in tables: each row names a file and its class."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from leyden.data.image.listed import ListedImages
from leyden.data.image.reader import ImageReader
from leyden.data.sources.path_table import PathTable
from leyden.data.sources.tables import TableFile
from leyden.files import DataPath


class ImageTable(ListedImages):
    """Image files that a CSV, TSV, JSON lines or Parquet file lists with their classes.

    Splits that the source lacks are held out from the training split.

    Args:
        path: The table.
        image: Column of the image files' paths.
        target: Column of the classes.
        root: Folder that relative paths start from; ``None`` for that of the table.
        group: Column of what must stay in one split, such as the patient.
        split_column: Column of the rows' splits: train, val or test, in any usual spelling, or all.
        encoding: Encoding of the table.
        separator: Separator of cells in CSV; ``None`` for the likeliest.
        options: Options of ``ListedImages``.
    """

    def __init__(
        self,
        *,
        path: DataPath,
        image: str,
        target: str,
        root: DataPath | None = None,
        group: str | None = None,
        split_column: str | None = None,
        encoding: str = "utf-8",
        separator: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.target = target
        self.listing = PathTable(
            TableFile(path=Path(path).expanduser(), encoding=encoding, separator=separator),
            columns={"path": image, "target": target, "group": group, "split": split_column},
            root=root,
        )

    def reader(self) -> ImageReader:
        """Return the reader of image files, with the name of the target."""
        return replace(super().reader(), target=self.target)

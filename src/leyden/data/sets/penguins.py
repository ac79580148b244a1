"""Palmer penguins, to classify by species."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from leyden.data.sources.published import PublishedFiles, package_folder
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.module import TableData
from leyden.files import DataPath, file_state

FILE = "penguins.csv"

CHECKSUM = "sha256:f204db2c753b0937caac3cb35258562c14f073e4bbc76be24b4c51ce22767a93"

MIRRORS = (
    "https://raw.githubusercontent.com/allisonhorst/palmerpenguins/8957207b78d6ccd1b4654a9dd9c9041b657478ab/inst/extdata",
    "https://raw.githubusercontent.com/mcnakhaee/palmerpenguins/24ab5d7ce1ed9afb54f7a304080da112f44542c8/palmerpenguins/data",
)


class Penguins(TableData):
    """344 penguins of three species, with measurements, island, sex and year.

    The file is read from ``path`` or the package ``palmerpenguins``, or downloaded once.
    Source: Horst et al. 2020, doi:10.5281/zenodo.3960218, under CC0.

    Args:
        path: Path of the user's own ``penguins.csv``.
        mirrors: URLs of folders that hold the file, tried in order.
        options: Options of ``TableData``.
    """

    def __init__(
        self, *, path: DataPath | None = None, mirrors: tuple[str, ...] = MIRRORS, **options: Any
    ) -> None:
        super().__init__(**options)
        self.path = Path(path).expanduser() if path else None
        self.files = PublishedFiles(
            checksums={FILE: CHECKSUM},
            mirrors=mirrors,
            downloads=self.cache_dir / "downloads" / "penguins",
            installed=package_folder("palmerpenguins", "data"),
            instead="run pip install palmerpenguins, or give data.path=FILE",
        )

    def table_settings(self) -> dict[str, Any]:
        """Return the checksum of the published file, or the state of the user's own file."""
        if self.path is None:
            return self.files.settings()
        return {"file": [str(self.path.resolve()), *file_state(self.path)]}

    def column_names(self) -> list[str]:
        """Return the names of the columns of the file.

        Raises:
            UserError: If the file cannot be downloaded or read.
        """
        return self._file.column_names()

    def chunks(self, columns: Sequence[str], *, beside: Sequence[str] = ()) -> Iterator[Chunk]:
        """Yield columns of the file, chunk by chunk.

        Raises:
            UserError: If the file cannot be downloaded or read.
        """
        return self._file.chunks(columns, beside=beside)

    @cached_property
    def _file(self) -> TableFile:
        return TableFile(path=self.path or self.files.folder() / FILE)

"""Palmer penguins: three species by their bodies."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from leyden.data.cache import store
from leyden.data.sets.packages import package_file
from leyden.data.sources.download import RemoteFile, fetch
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.module import TableData
from leyden.files import file_state

CHECKSUM = "sha256:f204db2c753b0937caac3cb35258562c14f073e4bbc76be24b4c51ce22767a93"

MIRRORS = (
    "https://raw.githubusercontent.com/allisonhorst/palmerpenguins/8957207b78d6ccd1b4654a9dd9c9041b657478ab/inst/extdata/penguins.csv",
    "https://raw.githubusercontent.com/mcnakhaee/palmerpenguins/24ab5d7ce1ed9afb54f7a304080da112f44542c8/palmerpenguins/data/penguins.csv",
)


class Penguins(TableData):
    """344 penguins of three species in five measures, their island, sex and year; CC0.

    The file is looked for at ``path``, in the package ``palmerpenguins``, and else fetched once.
    Source: Horst et al. 2020, doi:10.5281/zenodo.3960218.

    Args:
        path: a copy of ``penguins.csv``.
        mirrors: addresses of it, tried in order.
        options: those of every table.
    """

    def __init__(
        self, *, path: str | None = None, mirrors: tuple[str, ...] = MIRRORS, **options: Any
    ) -> None:
        super().__init__(**options)
        self.path = Path(path).expanduser() if path else None
        self.mirrors = mirrors

    def table_settings(self) -> dict[str, Any]:
        """Name the canonical file, or the one that was given, which may be any."""
        if self.path is None:
            return {"file": CHECKSUM}
        return {"file": [str(self.path.resolve()), *file_state(self.path)]}

    def column_names(self) -> list[str]:
        """List the columns of the file."""
        return self._file.column_names()

    def chunks(self, columns: Sequence[str], *, beside: Sequence[str] = ()) -> Iterator[Chunk]:
        """Read some columns of the file."""
        return self._file.chunks(columns, beside=beside)

    @cached_property
    def _file(self) -> TableFile:
        return TableFile(path=self.path or self._found())

    def _found(self) -> Path:
        if installed := package_file("palmerpenguins", "data/penguins.csv"):
            return installed
        folder = self.cache_dir / "downloads" / "penguins"
        with store.locked(folder):
            return fetch(
                RemoteFile(name="penguins.csv", urls=self.mirrors, checksum=CHECKSUM),
                folder,
                instead="run pip install palmerpenguins, or give data.path=FILE",
            )

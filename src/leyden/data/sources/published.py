"""Files of published data sets: a copy of the user's, of an installed package, or a download."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from leyden.data.cache.store import lock_folder
from leyden.data.sources.download import RemoteFile, fetch
from leyden.errors import UserError
from leyden.files import DataPath, file_state


@dataclass(frozen=True, kw_only=True)
class PublishedFiles:
    """Files that are published in one folder under fixed names.

    Attributes:
        checksums: Checksum by name of the file, in the format of ``RemoteFile.checksum``.
        mirrors: http or https URLs of folders that hold the files, in the order in which they are
            tried.
        downloads: Folder to download the files to.
        root: Folder of the user's own files with these names, whose checksums are not verified.
        installed: Folder in which a package installs the files.
        instead: Alternative to a download by hand, for the message if a download fails.
    """

    checksums: Mapping[str, str]
    mirrors: Sequence[str]
    downloads: Path
    root: DataPath | None = None
    installed: Path | None = None
    instead: str = "set data.root=PATH to a folder that holds it"

    def settings(self) -> dict[str, Any]:
        """Return what identifies the content: the checksums, or the state of the user's files.

        Raises:
            UserError: If the user's folder lacks a file.
        """
        if self.root is None:
            return {"files": dict(self.checksums)}
        folder = self.folder()
        files = [file_state(folder / name) for name in self.checksums]
        return {"root": str(folder.resolve()), "files": files}

    def folder(self) -> Path:
        """Return the folder that holds the files, after downloading them if necessary.

        Raises:
            UserError: If the user's folder lacks a file, or a file cannot be downloaded.
        """
        if self.root is not None:
            root = Path(self.root).expanduser()
            if missing := self._missing(root):
                raise UserError(
                    f"data.root={root} lacks {' and '.join(missing)}. Give a folder that holds "
                    f"{' and '.join(self.checksums)}, or leave data.root out to download them."
                )
            return root
        if self.installed is not None and not self._missing(self.installed):
            return self.installed
        with lock_folder(self.downloads):
            for name, checksum in self.checksums.items():
                urls = tuple(f"{mirror.rstrip('/')}/{name}" for mirror in self.mirrors)
                file = RemoteFile(name=name, urls=urls, checksum=checksum)
                fetch(file, self.downloads, instead=self.instead)
        return self.downloads

    def _missing(self, folder: Path) -> list[str]:
        return [name for name in self.checksums if not (folder / name).is_file()]


def package_folder(package: str, folder: str) -> Path | None:
    """Return the path of a folder of a package without importing it.

    Args:
        package: Name of the package.
        folder: Path of the folder within the package; it need not exist.

    Returns:
        The path, or ``None`` if the package is not installed.
    """
    found = find_spec(package)
    places = (found.submodule_search_locations if found else None) or ()
    return next((Path(place) / folder for place in places), None)

"""Files of published data sets: the user's copy, that of an installed package, or a download."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from leyden.data.cache.store import locked
from leyden.data.sources.download import RemoteFile, fetch
from leyden.errors import UserError
from leyden.files import DataPath, file_state


@dataclass(frozen=True, kw_only=True)
class PublishedFiles:
    """The files of a data set, which are published in one folder under fixed names.

    Attributes:
        checksums: Checksum of each file by its name, ``"md5:…"`` or ``"sha256:…"``.
        mirrors: http or https URLs of folders that hold the files, best first.
        downloads: Folder to download the files to.
        root: Folder of the user's own files with these names, whatever they contain.
        installed: Folder where a package installs the files.
        instead: What else the user can do if the files cannot be downloaded.
    """

    checksums: Mapping[str, str]
    mirrors: Sequence[str]
    downloads: Path
    root: DataPath | None = None
    installed: Path | None = None
    instead: str = "set data.root=PATH to a folder that holds it"

    def settings(self) -> dict[str, Any]:
        """Return plain values that change when the files would."""
        if self.root is None:
            return {"files": dict(self.checksums)}
        folder = self.folder()
        files = [file_state(folder / name) for name in self.checksums]
        return {"root": str(folder.resolve()), "files": files}

    def folder(self) -> Path:
        """Return the folder that holds the files, after downloading them if necessary.

        Raises:
            UserError: If the user's folder lacks a file, or no mirror has it.
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
        with locked(self.downloads):
            for name, checksum in self.checksums.items():
                urls = tuple(f"{mirror.rstrip('/')}/{name}" for mirror in self.mirrors)
                file = RemoteFile(name=name, urls=urls, checksum=checksum)
                fetch(file, self.downloads, instead=self.instead)
        return self.downloads

    def _missing(self, folder: Path) -> list[str]:
        return [name for name in self.checksums if not (folder / name).is_file()]


def package_folder(package: str, folder: str) -> Path | None:
    """Return a folder of an installed package, which is not imported; ``None`` without it."""
    found = find_spec(package)
    places = (found.submodule_search_locations if found else None) or ()
    return next((Path(place) / folder for place in places), None)

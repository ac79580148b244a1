"""Extraction of untrusted archives."""

import stat
import tarfile
import zipfile
import zlib
from lzma import LZMAError
from pathlib import Path, PureWindowsPath

from leyden.errors import UserError
from leyden.files import write_aside

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError)
_ZIP_ENCRYPTED = 0x1


def extract(archive: Path, folder: Path) -> Path:
    """Extract a zip archive, or a tar archive of any compression, completely or not at all.

    A folder that is not empty counts as extracted earlier and is left alone. Processes that may
    extract to the same folder at the same time must hold a lock.

    Args:
        archive: Path of the archive, whose format is detected from its content.
        folder: Folder to extract to; created once all members are extracted.

    Returns:
        The folder.

    Raises:
        UserError: If the archive is missing, damaged or of another format, a member would be
            written outside the folder or is not a file, a folder or a link within the archive, or
            the disk is full.
    """
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    try:
        with write_aside(folder) as unfinished:
            unfinished.mkdir(parents=True)
            _unpack(archive, unfinished)
    except tarfile.FilterError as error:
        raise UserError(
            f"Refused to unpack {archive}: {error}. Nothing was unpacked; get the archive from a "
            "source that you trust."
        ) from error
    except _DAMAGE as error:
        raise UserError(
            f"Could not unpack {archive} to {folder}: {error}. Delete the archive so that it is "
            "downloaded again, or free the space it needs."
        ) from error
    return folder


def _unpack(archive: Path, folder: Path) -> None:
    # Tar first: a tar that ends with a zip member also looks like a zip.
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter=_checked_member)  # noqa: S202  # checked by the filter
    elif zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as members:
            for member in members.infolist():
                _check_zip_member(member)
            members.extractall(folder)  # noqa: S202  # checked above
    else:
        raise UserError(
            f"Expected a tar or zip archive, but {archive} is neither, or damaged. Delete it so "
            "that it is downloaded again."
        )


def _checked_member(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    _check_name(member.name)
    # The data filter of Python < 3.11.13 can be led outside by chains of links (CVE-2025-4517).
    for path in map(Path, (member.name, member.linkname if member.islnk() else "")):
        if any((folder / each).is_symlink() for each in (path, *path.parents)):
            raise tarfile.FilterError(f"{member.name!r} leads through a link")
    return tarfile.data_filter(member, folder)


def _check_zip_member(member: zipfile.ZipInfo) -> None:
    _check_name(member.filename)
    if stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise tarfile.FilterError(f"{member.filename!r} is a link or a device")
    if member.flag_bits & _ZIP_ENCRYPTED:
        raise tarfile.FilterError(f"{member.filename!r} is encrypted")


def _check_name(name: str) -> None:
    # Windows paths have both separators and drives, and so reveal what either system would obey.
    path = PureWindowsPath(name)
    if path.anchor or ".." in path.parts:
        raise tarfile.FilterError(f"{name!r} leads out of the archive's folder")

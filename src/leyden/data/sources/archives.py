"""Unpack archives that strangers made."""

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from lzma import LZMAError
from pathlib import Path, PureWindowsPath

from leyden.errors import UserError

_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError)
_ZIP_ENCRYPTED = 0x1


def extract(archive: Path, folder: Path) -> Path:
    """Unpack a tar (also compressed) or zip archive as a folder, whole or not at all.

    A folder that holds anything counts as unpacked earlier and is left alone. Processes that may
    unpack to the same folder at once must hold a lock.

    Args:
        archive: A file; its content tells the format, not its name.
        folder: Where its members go, appearing under this name when all are there.

    Returns:
        The folder.

    Raises:
        UserError: The archive is missing, damaged or of another format, a member would be
            written elsewhere or is no plain file, folder or inner link, or the disk is full.
    """
    if folder.is_dir() and any(folder.iterdir()):
        return folder
    part = folder.with_name(f"{folder.name}.extracting")
    try:
        unpack = _unpacker(archive)
        if part.exists():
            shutil.rmtree(part)
        part.mkdir(parents=True)
        unpack(archive, part)
        part.replace(folder)
    except _DAMAGE as error:
        raise UserError(
            f"Could not unpack {archive} to {folder}: {error}. Delete the archive so that it is "
            f"fetched again, or free the space it needs."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _unpacker(archive: Path) -> Callable[[Path, Path], None]:
    # Tar first: a tar that ends with a zip member also looks like a zip.
    if tarfile.is_tarfile(archive):
        return _unpack_tar
    if zipfile.is_zipfile(archive):
        return _unpack_zip
    raise UserError(
        f"Expected a tar or zip archive, but {archive} is neither, or damaged. Delete it so "
        f"that it is fetched again."
    )


def _unpack_tar(archive: Path, folder: Path) -> None:
    def keep(member: tarfile.TarInfo, destination: str) -> tarfile.TarInfo:
        _check_name(member.name, archive)
        _check_way(member.name, member.name, folder, archive)
        if member.islnk():
            _check_way(member.name, member.linkname, folder, archive)
        try:
            return tarfile.data_filter(member, destination)
        except tarfile.FilterError as error:
            raise _refusal(member.name, archive, str(error)) from error

    with tarfile.open(archive) as members:
        members.extractall(folder, filter=keep)  # noqa: S202 (keep)


def _unpack_zip(archive: Path, folder: Path) -> None:
    with zipfile.ZipFile(archive) as members:
        for member in members.infolist():
            _check_name(member.filename, archive)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                raise _refusal(member.filename, archive, "it is a link or a device")
            if member.flag_bits & _ZIP_ENCRYPTED:
                raise _refusal(member.filename, archive, "it is encrypted")
        members.extractall(folder)  # noqa: S202 (checked above)


def _check_name(name: str, archive: Path) -> None:
    # Windows paths know both separators and drives, and so find what either system would obey.
    path = PureWindowsPath(name)
    if path.anchor or ".." in path.parts:
        raise _refusal(name, archive, "its path leads out of the archive's folder")


def _check_way(name: str, path: str, folder: Path, archive: Path) -> None:
    # The data filter of Python < 3.11.13 can be led outside by chains of links (CVE-2025-4517).
    way = folder
    for part in Path(path).parts:
        way /= part
        if way.is_symlink():
            raise _refusal(name, archive, "it leads through a link")


def _refusal(name: str, archive: Path, reason: str) -> UserError:
    return UserError(
        f"Refused to unpack the member {name!r} of {archive}: {reason}. Nothing was unpacked; get "
        f"the archive from a source that you trust."
    )

"""The on-disk cache: folders that are written once, whole or not at all.

The name of a folder is a fingerprint of the source and of the settings that shaped its content, so
a changed setting never reads stale files. A folder is written under a lock and renamed when it is
complete.
"""

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from leyden.errors import UserError
from leyden.files import written_aside

FORMAT = 9
"""Raised when the layout below or the reading of sources changes: older caches are not read."""

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def default_folder() -> Path:
    """Return the user's cache folder: ``LEYDEN_CACHE``, else ``leyden`` in the XDG cache folder."""
    if chosen := os.environ.get("LEYDEN_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "leyden"


def fingerprint(settings: dict[str, Any]) -> str:
    """Return a digest of plain settings, of 16 hexadecimal digits, as the name of a folder."""
    text = json.dumps([FORMAT, settings], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_once(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder completely or not at all, unless it exists; other processes wait for it.

    Args:
        folder: Folder to write; the lock file is beside it.
        write: Function that fills the empty folder that it is given.

    Raises:
        UserError: The folder cannot be written, or its disk is full.
    """
    if folder.is_dir():
        return
    with locked(folder):
        if folder.is_dir():
            return
        try:
            with written_aside(folder) as unfinished:
                unfinished.mkdir()
                write(unfinished)
        except OSError as error:
            if error.errno in UNWRITABLE:
                raise _unwritable(folder.parent, error) from error
            raise


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing a folder, by a lock file beside it.

    Raises:
        UserError: The parent folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        lock.acquire()
    except OSError as error:
        raise _unwritable(folder.parent, error) from error
    try:
        yield
    finally:
        lock.release()


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"The cache folder {folder} cannot be written: {error}. Give another one with "
        "data.cache_dir=PATH or the environment variable LEYDEN_CACHE."
    )

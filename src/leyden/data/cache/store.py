"""Cache folders on disk, which are written once: completely or not at all.

The name of a folder is a fingerprint of the source and of the settings that determine its content,
so stale files are never read after a setting has changed. A folder is written under a lock, and
renamed when it is complete.
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
from leyden.files import write_aside

FORMAT = 9
"""Incremented when the layout of caches, the reading of sources or a rule of cleaning changes.

Caches of an earlier number are not used any more.
"""

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of a disk that is full or read-only."""


def default_folder() -> Path:
    """Return the user's cache folder: ``LEYDEN_CACHE``, else ``leyden`` in the XDG cache folder."""
    if chosen := os.environ.get("LEYDEN_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "leyden"


def fingerprint(settings: dict[str, Any]) -> str:
    """Return a digest of settings as the name of a folder.

    Args:
        settings: Plain containers and values; others are represented by their ``str``.

    Returns:
        A string of 16 hexadecimal digits.
    """
    text = json.dumps([FORMAT, settings], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_once(folder: Path, write: Callable[[Path], None]) -> None:
    """Write a folder completely or not at all, unless it exists; other processes wait for it.

    Args:
        folder: Folder to write; the lock file is beside it.
        write: Function that writes the files to a given, empty folder.

    Raises:
        UserError: If the folder cannot be written, or its disk is full.
    """
    if folder.is_dir():
        return
    with lock_folder(folder):
        if folder.is_dir():
            return
        try:
            with write_aside(folder) as unfinished:
                unfinished.mkdir()
                write(unfinished)
        except OSError as error:
            if error.errno in UNWRITABLE:
                raise _unwritable(folder.parent, error) from error
            raise


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold a lock file beside a folder, so that no other process that holds it writes the folder.

    Raises:
        UserError: If the parent folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f"{folder.name}.lock")).acquire()
    except OSError as error:
        raise _unwritable(folder.parent, error) from error
    with lock:
        yield


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"The cache folder {folder} cannot be written: {error}. Give another one with "
        "data.cache_dir=PATH or the environment variable LEYDEN_CACHE."
    )

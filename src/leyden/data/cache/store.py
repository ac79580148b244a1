"""The on-disk cache: folders that are written once, whole or not at all.

The name of a folder is a fingerprint of the source and of the settings that shaped its content, so
a changed setting never reads stale files. A folder is written beside its place under a lock and
renamed when it is complete.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from leyden.errors import UserError

FORMAT = 9
"""Raised when the layout below or the reading of sources changes: older caches are not read."""

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def default_folder() -> Path:
    """Locate the user's cache: ``LEYDEN_CACHE``, else ``leyden`` in the XDG cache folder."""
    if chosen := os.environ.get("LEYDEN_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "leyden"


def fingerprint(settings: dict[str, Any]) -> str:
    """Digest plain settings into a short name for a folder."""
    text = json.dumps([FORMAT, settings], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write_once(folder: Path, write: Callable[[Path], None]) -> None:
    """Make a folder unless it is there, whole or not at all; others who come wait meanwhile.

    Args:
        folder: its parent holds the lock.
        write: fills the empty folder that it is given.

    Raises:
        UserError: the folder can't be written, or its disk is full.
    """
    if folder.is_dir():
        return
    with locked(folder):
        if folder.is_dir():
            return
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            unfinished.mkdir()
            write(unfinished)
            unfinished.rename(folder)
        except OSError as error:
            if error.errno not in UNWRITABLE:
                raise
            shutil.rmtree(unfinished, ignore_errors=True)
            raise _unwritable(folder.parent, error) from error


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from writing a folder; the lock stands beside it.

    Raises:
        UserError: its parent can't be written.
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
        f"The cache folder {folder} can't be written: {error}. Give another one with "
        "data.cache_dir=PATH or the environment variable LEYDEN_CACHE."
    )

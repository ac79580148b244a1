"""Files and folders that are replaced as a whole."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, TypeAlias

DataPath: TypeAlias = str | Path
"""Annotation of those parameters of a data module that are paths of its files or folders."""


def exists(path: str) -> bool:
    """Whether a path exists, whatever its length; a leading ``~`` is the home folder."""
    return os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111  # pathlib's raise


def file_state(path: Path) -> tuple[int, int, int]:
    """Return the size of a file in bytes and its mtime and ctime in ns; zeros if it is missing.

    Any change of the file changes the result. The ctime is included because copying may preserve
    the mtime (``cp -p``, ``rsync -t``).
    """
    try:
        state = path.stat()
    except OSError:  # a broken or circular link
        return 0, 0, 0
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def remove(path: Path) -> None:
    """Remove a file, a link or a folder if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def write_aside(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, which replaces ``path`` when the block ends.

    Readers see either the old file or folder or the complete new one. If the block raises, the
    temporary one is removed and the old one stays.

    Args:
        path: Destination of the file or folder. A file may replace a folder, and a folder a file.
    """
    aside = path.with_name(f"{path.name}.unfinished")
    remove(aside)  # left by a killed process; it may be a link
    try:
        yield aside
        if path.is_dir():  # a folder cannot be replaced atomically
            remove(path)
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            remove(aside)
        raise


@contextmanager
def open_aside(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 text file for writing that replaces ``path`` when the block ends.

    Line breaks are written unchanged, as the ``csv`` module expects; see ``write_aside``.
    """
    with write_aside(path) as aside, aside.open("w", newline="", encoding="utf-8") as stream:
        yield stream


def flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk, on systems that can open folders."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Files on the disk: replaced as a whole, never changed in place."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

DataPath: TypeAlias = str | Path
"""Annotation of the parameters of a data module that are paths of its data, files or folders."""


def exists(path: str) -> bool:
    """Whether there is something at a path of any length, in which ``~`` is the home folder."""
    return os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111  # pathlib's raise


def file_state(path: Path) -> tuple[int, int, int]:
    """Return a file's size in bytes and its times in ns, which change with it; zeros if it is gone.

    A copy may keep the time of its content (``cp -p``, ``rsync -t``), but not that of its inode.
    """
    try:
        state = path.stat()
    except OSError:  # a link that leads nowhere, or in a circle
        return 0, 0, 0
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def remove(path: Path) -> None:
    """Remove a file or a folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yield a free path beside ``path``; what the block writes there takes its place at the end.

    Readers see the old file or folder or the new one, never half of it. If the block raises, what
    it has written is removed and the old one stays.

    Args:
        path: Where the file or folder belongs. What is there is replaced; a folder, by a file too.
    """
    aside = path.with_name(f"{path.name}.unfinished")
    remove(aside)  # of a process that was killed, or a link to elsewhere
    try:
        yield aside
        if path.is_dir():  # which cannot be replaced at once
            remove(path)
        aside.replace(path)
    except BaseException:
        with suppress(OSError):
            remove(aside)
        raise


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where a folder can be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

"""Files on the disk; checkpoints are files, or folders if ranks have sharded a network."""

import os
import shutil
from pathlib import Path

from leyden.errors import UserError, first_line

META = "meta.pt"
"""The file in a sharded checkpoint that makes it one; the rest stands beside it."""


def exists(path: str) -> bool:
    """Whether there is something at a path of any length, in which ``~`` is the home folder."""
    return os.path.exists(os.path.expanduser(path))  # noqa: PTH110, PTH111  # pathlib's raise


def file_state(path: Path) -> tuple[int, int, int]:
    """Return a file's size and its times in ns, which change with it; zeros if it is gone.

    A copy may keep the time of its content (``cp -p``, ``rsync -t``), but not that of its inode.
    """
    try:
        state = path.stat()
    except OSError:  # a link that leads nowhere, or in a circle
        return 0, 0, 0
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


def is_checkpoint(path: Path) -> bool:
    """Tell whether a whole checkpoint seems to stand there, of either kind."""
    return path.is_file() or (path / META).is_file()


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Flush a rename to the disk, where a folder can be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def unwritable(path: Path, error: BaseException) -> UserError:
    """Word why a checkpoint of a run could not be written."""
    free = ""
    if path.parent.is_dir():
        free = f", {shutil.disk_usage(path.parent).free / 2**20:.0f} MiB are free"
    return UserError(
        f"No checkpoint can be written to the folder {path.parent} ({first_line(error)}{free}). "
        "The checkpoints in it are whole. Make room or give yourself the right to write there, "
        f"then continue with `leyden train run={path.parent.parent}`."
    )

"""Names of checkpoints.

A checkpoint is a file, or a folder if several ranks hold a sharded network.
"""

import shutil
from pathlib import Path

from leyden.errors import UserError, first_line

FOLDER = "checkpoints"
"""Name of the folder of checkpoints within a run folder."""

SUFFIX = ".ckpt"

BEST, LAST, PREVIOUS = (f"{name}{SUFFIX}" for name in ("best", "last", "previous"))

META = "meta.pt"
"""File that every sharded checkpoint has; the shards are beside it."""


def is_checkpoint(path: Path) -> bool:
    """Whether a path is a file, or a folder with the complete structure of a sharded checkpoint."""
    return path.is_file() or (path / META).is_file()


def unwritable(path: Path, error: BaseException) -> UserError:
    """Return a ``UserError`` that explains why a checkpoint of a run could not be written."""
    free = ""
    if path.parent.is_dir():
        free = f", {shutil.disk_usage(path.parent).free / 2**20:.0f} MiB are free"
    return UserError(
        f"No checkpoint can be written to the folder {path.parent} ({first_line(error)}{free}). "
        "The checkpoints in it are complete. Free disk space or get write permission there, "
        f"then continue with `leyden train run={path.parent.parent}`."
    )

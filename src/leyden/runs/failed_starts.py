"""Runs that ended before they had a checkpoint or metrics, and so leave nothing to continue."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from leyden.checkpoints.files import SUFFIX
from leyden.errors import UserError
from leyden.runs.folder import RunFolder

RESULTS = (f"*{SUFFIX}", "metrics.csv", "metrics.json")
"""Patterns of what a run has once something was trained or measured."""

WRITTEN = (
    *("config.yaml", "crossval.json", "cleaning.json", "status.json", "job.json", "run.lock"),
    *("provenance.json", "changes.diff", "train.log", "train.rank*.log", "error.rank*.json"),
    *("hparams.yaml", "events.out.tfevents.*", "folds.csv"),
)
"""Patterns of all other files that Leyden writes into the folder of a run."""

QUIET_SECONDS = 3600
"""Time without a change after which a run that seems to be running is taken for dead: a lock may
not be visible from another machine."""


def has_results(folder: Path) -> bool:
    """Whether a folder, or a folder in it, holds a checkpoint or metrics."""
    return any(next(folder.rglob(pattern), None) for pattern in RESULTS)


def is_running(folder: RunFolder) -> bool:
    """Whether a process of this machine is training in a folder."""
    if not (folder.path / "run.lock").exists():
        return False
    try:
        with folder.held():
            return False
    except UserError:
        return True


def is_failed_start(folder: RunFolder) -> bool:
    """Whether a run has ended, but left nothing to continue, and nothing that others have written.

    Args:
        folder: Folder of a run or a cross-validation. Jobs of sweeps count as parts of the sweep.
    """
    path = folder.path
    if not folder.config.is_file() or path.is_symlink() or has_results(path):
        return False
    state = folder.read_status().get("state")
    if state == "finished" or is_running(folder) or not _holds_own_files_alone(path):
        return False
    return state not in (None, "running") or time.time() - _last_change(path) > QUIET_SECONDS


def remove(folder: RunFolder) -> None:
    """Remove the folder of a run, and the one around it if nothing else is in it."""
    shutil.rmtree(folder.path)
    with suppress(OSError):  # it is not empty
        folder.path.parent.rmdir()


@contextmanager
def removed_if_it_fails(folder: RunFolder) -> Iterator[None]:
    """Remove a new folder if the block fails before anything was trained in it.

    The folder stays if it held something before, if the block was interrupted, and if ranks failed
    whose logs are in it.
    """
    is_new = not any(folder.path.iterdir())
    try:
        yield
    except ChildProcessError:
        raise
    except Exception:
        if is_new and not has_results(folder.path):
            remove(folder)
        raise


def _holds_own_files_alone(path: Path) -> bool:
    files = (each for each in path.rglob("*") if not each.is_dir() or each.is_symlink())
    return all(any(fnmatch(file.name, pattern) for pattern in WRITTEN) for file in files)


def _last_change(path: Path) -> float:
    return max(each.lstat().st_mtime for each in (path, *path.rglob("*")))

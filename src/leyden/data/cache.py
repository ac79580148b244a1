"""The on-disk cache of prepared rows: written once, memory-mapped by every process after that.

A cache is a folder. Its name is a fingerprint of the source and of the settings that shaped it,
so a changed setting never reads a stale one. It is written beside its place under a lock and
renamed when it is whole: whoever sees the folder sees all of it.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from leyden.data.array_files import read_arrays
from leyden.data.cleaning import CleaningReport
from leyden.data.identity import Keys
from leyden.data.source_names import ENDS, SourceNames
from leyden.data.splits import Population
from leyden.errors import UserError

FORMAT = 8
"""Raised when the layout below or the reading of sources changes: older caches are not read."""

ARRAYS = "arrays"
"""Folder of the inputs."""

COLUMNS = "columns"
"""Folder of what is known of each row beside its inputs."""

SOURCES = "sources.txt"

REPORT = "cleaning.json"

META = "meta.json"

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A prepared data set; all that grows with its rows is mapped from disk.

    Attributes:
        path: its folder.
        arrays: the inputs, arrays ``(rows, ...)`` or ``Ragged`` ones.
        targets: ``(rows,)`` int64 class indices, or float64 numbers to predict, or
            ``(rows, labels)`` uint8 where a row may have several labels; zeros where
            the targets are the array ``sequences``.
        parts: ``(rows,)`` place in ``PARTS`` of the part that the source gave each row.
        kept: row numbers that survived cleaning.
        keys: ``(rows,)`` uint64 hash of each row's group, or else of what identifies the row.
        is_grouped: Whether the keys are those of groups.
        times: ``(rows,)`` float64 order of the rows in time; ``None`` where they have none.
        sources: where each row came from.
        class_names: names in the order of the indices, or of the labels; empty for numbers.
        facts: what the kind has to know of the rows.
        fingerprint: digest of the rows' bytes and targets.
    """

    path: Path
    arrays: dict[str, Any]
    targets: NDArray[np.generic]
    parts: NDArray[np.uint8]
    kept: NDArray[np.int64]
    keys: Keys
    is_grouped: bool
    times: NDArray[np.float64] | None
    sources: SourceNames
    class_names: tuple[str, ...]
    facts: dict[str, Any]
    fingerprint: str

    def cleaning_report(self) -> CleaningReport:
        """Read what cleaning found when the cache was written."""
        return CleaningReport.from_dict(json.loads((self.path / REPORT).read_text()))

    def population(self) -> Population:
        """Return what a splitter needs to know of the kept rows."""
        return Population(
            rows=self.kept,
            keys=self.keys,
            targets=self.targets,
            parts=self.parts,
            times=self.times,
        )


def default_folder() -> Path:
    """Locate the user's cache: ``LEYDEN_CACHE``, else ``leyden`` in the XDG cache folder."""
    if chosen := os.environ.get("LEYDEN_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "leyden"


def fingerprint(settings: dict[str, Any]) -> str:
    """Digest plain settings into a short name for a folder."""
    text = json.dumps([FORMAT, settings], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def file_state(path: Path) -> tuple[int, int, int]:
    """Return a file's size and its times in ns, which change with it; zeros if it is gone.

    A copy may keep the time of its content (``cp -p``, ``rsync -t``), but not that of its inode.
    """
    try:
        state = path.stat()
    except OSError:  # a link that leads nowhere, or in a circle
        return 0, 0, 0
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns


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


def read(folder: Path) -> Cache:
    """Map a prepared cache into memory."""
    meta = json.loads((folder / META).read_text())
    columns: dict[str, Any] = read_arrays(folder / COLUMNS)
    return Cache(
        path=folder,
        arrays=read_arrays(folder / ARRAYS),
        targets=columns["targets"],
        parts=columns["parts"],
        kept=columns["kept"],
        keys=columns["keys"],
        is_grouped=meta["is_grouped"],
        times=columns.get("times"),
        sources=SourceNames(folder / SOURCES, columns[ENDS]),
        class_names=tuple(meta["class_names"]),
        facts=meta["facts"],
        fingerprint=meta["fingerprint"],
    )


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

"""The on-disk cache of prepared rows: written once, memory-mapped by every process after that.

A cache is a folder. Its name is a fingerprint of the source and of the settings that shaped it,
so a changed setting never reads a stale one. It is written beside its place under a lock and
renamed when it is whole: whoever sees the folder sees all of it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from leyden.data.cleaning import Cleaning, CleaningReport, clean
from leyden.data.rows import RejectedItem, Rows
from leyden.errors import UserError

FORMAT = 1
"""Raised when the layout below changes, so that older caches are not read."""


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A prepared data set.

    Attributes:
        path: its folder.
        arrays: the inputs, ``(rows, ...)``, mapped from disk.
        targets: ``(rows,)`` int64 class indices, or float32 numbers to predict.
        parts: ``(rows,)`` part that the source gave each row.
        kept: row numbers that survived cleaning.
        groups: ``(rows,)`` int64 number of each row's group; ``None`` where there are none.
        class_names: names in the order of the indices; empty for numbers.
        fingerprint: digest of the rows' bytes and targets.
    """

    path: Path
    arrays: dict[str, NDArray[Any]]
    targets: NDArray[np.generic]
    parts: NDArray[np.str_]
    kept: NDArray[np.int64]
    groups: NDArray[np.int64] | None
    class_names: tuple[str, ...]
    fingerprint: str

    def cleaning_report(self) -> CleaningReport:
        """Read what cleaning found when the cache was written."""
        return CleaningReport.from_dict(json.loads((self.path / "cleaning.json").read_text()))

    def rows_of(self, part: str) -> NDArray[np.int64]:
        """List the kept rows that the source put in a part."""
        rows: NDArray[np.int64] = self.kept[self.parts[self.kept] == part]
        return rows


def default_folder() -> Path:
    """Locate the user's cache: ``LEYDEN_CACHE``, else ``leyden`` in the XDG cache folder."""
    if chosen := os.environ.get("LEYDEN_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "leyden"


def fingerprint(settings: dict[str, Any]) -> str:
    """Digest plain settings into a short name for a folder."""
    text = json.dumps([FORMAT, settings], sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def file_state(path: Path) -> tuple[int, int]:
    """Give a file's size and time in ns, which tell whether it changed; zeros if it is gone."""
    try:
        state = path.stat()
    except FileNotFoundError:  # a link that leads nowhere
        return 0, 0
    return state.st_size, state.st_mtime_ns


def prepare(
    folder: Path,
    chunks: Iterable[Rows],
    *,
    steps: Cleaning,
    class_names: Sequence[str] | None,
) -> Path:
    """Write the cache unless it is there; processes that come meanwhile wait and then read it.

    Args:
        folder: where the cache belongs. Its parent holds the lock.
        chunks: the rows; not touched where the cache exists.
        steps: the cleaning steps to run.
        class_names: names of the indices in the targets, or ``None`` where targets are names.

    Raises:
        UserError: the source holds no row, or the folder can't be written.
    """
    if folder.is_dir():
        return folder
    with locked(folder):
        if folder.is_dir():
            return folder
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        _write(unfinished, chunks, steps=steps, class_names=class_names)
        unfinished.rename(folder)
    return folder


def read(folder: Path) -> Cache:
    """Map a prepared cache into memory."""
    meta = json.loads((folder / "meta.json").read_text())
    arrays: dict[str, NDArray[Any]] = {
        # Copy-on-write: torch wants writable memory, and the file must never change.
        name: np.memmap(folder / f"{name}.bin", mode="c", dtype=dtype, shape=tuple(shape))
        for name, (dtype, shape) in meta["arrays"].items()
    }
    return Cache(
        path=folder,
        arrays=arrays,
        targets=np.load(folder / "targets.npy"),
        parts=np.load(folder / "parts.npy"),
        kept=np.load(folder / "kept.npy"),
        groups=np.load(groups) if (groups := folder / "groups.npy").is_file() else None,
        class_names=tuple(meta["class_names"]),
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
        raise UserError(
            f"The cache folder {folder.parent} can't be written: {error}. Give another one with "
            "data.cache_dir=PATH or the environment variable LEYDEN_CACHE."
        ) from error
    try:
        yield
    finally:
        lock.release()


@dataclass(kw_only=True)
class _Columns:
    """What is gathered row by row while the inputs stream to disk."""

    digests: list[bytes] = field(default_factory=list)
    targets: list[NDArray[np.generic]] = field(default_factory=list)
    parts: list[NDArray[np.str_]] = field(default_factory=list)
    groups: list[NDArray[np.str_]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    rejected: list[RejectedItem] = field(default_factory=list)
    shapes: dict[str, tuple[str, list[int]]] = field(default_factory=dict)

    def add(self, rows: Rows, folder: Path) -> None:
        count = len(rows.targets)
        self.rejected.extend(rows.rejected)
        if count == 0:
            return
        self.digests.extend(_row_digests(rows.arrays))
        self.targets.append(rows.targets)
        self.parts.append(np.full(count, rows.part, dtype="U5"))
        self.sources.extend(rows.sources)
        if rows.groups is not None:
            self.groups.append(rows.groups)
        for name, array in rows.arrays.items():
            dtype, shape = self.shapes.get(name, (array.dtype.str, [0, *array.shape[1:]]))
            same = (array.dtype.str, list(array.shape[1:])) == (dtype, shape[1:])
            assert same, f"the rows of {name} change their dtype or shape from chunk to chunk"
            self.shapes[name] = (dtype, [shape[0] + count, *shape[1:]])
            with (folder / f"{name}.bin").open("ab") as stream:
                stream.write(np.ascontiguousarray(array).data)


def _write(
    folder: Path, chunks: Iterable[Rows], *, steps: Cleaning, class_names: Sequence[str] | None
) -> None:
    columns = _Columns()
    for rows in chunks:
        unreadable = [item for item in rows.rejected if item.step == "unreadable"]
        if unreadable and not steps.unreadable:
            first = unreadable[0]
            raise UserError(
                f"{first.source} can't be read: {first.reason}. Mend or remove it, or let such "
                "items be skipped and reported with data.cleaning.unreadable=true."
            )
        columns.add(rows, folder)
    if not columns.targets:
        raise UserError(_nothing_readable(columns.rejected))
    targets = np.concatenate(columns.targets)
    names, indices = _encode(targets, class_names)
    parts = np.concatenate(columns.parts)
    keep, report = clean(
        digests=np.frombuffer(b"".join(columns.digests), dtype=f"V{DIGEST_SIZE}"),
        targets=indices,
        parts=parts,
        sources=columns.sources,
        rejected=columns.rejected,
        steps=steps,
    )
    np.save(folder / "targets.npy", indices)
    np.save(folder / "parts.npy", parts)
    np.save(folder / "kept.npy", np.flatnonzero(keep))
    if columns.groups:
        _, groups = np.unique(np.concatenate(columns.groups), return_inverse=True)
        np.save(folder / "groups.npy", groups.astype(np.int64))
    # Names of files need not be Unicode.
    (folder / "sources.txt").write_text("\n".join(columns.sources), errors="surrogateescape")
    _write_json(folder / "cleaning.json", report)
    digest = hashlib.blake2b(b"".join(columns.digests) + indices.tobytes(), digest_size=16)
    meta = {"arrays": columns.shapes, "class_names": names, "fingerprint": digest.hexdigest()}
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))


DIGEST_SIZE = 16


def _row_digests(arrays: dict[str, NDArray[np.generic]]) -> Iterator[bytes]:
    columns = [np.ascontiguousarray(array) for array in arrays.values()]
    for row in zip(*columns, strict=True):
        digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
        for value in row:
            digest.update(value)
        yield digest.digest()


def _encode(
    targets: NDArray[np.generic], class_names: Sequence[str] | None
) -> tuple[list[str], NDArray[np.generic]]:
    if class_names is not None:
        return list(class_names), targets.astype(np.int64)
    if targets.dtype.kind == "f":
        return [], targets.astype(np.float32)
    names, indices = np.unique(targets, return_inverse=True)
    return [str(name) for name in names], indices.astype(np.int64)


def _nothing_readable(rejected: Sequence[RejectedItem]) -> str:
    if not rejected:
        return "The data set holds no rows. Expected at least one; check data.root."
    first = rejected[0]
    return (
        f"None of the {len(rejected)} items of the data set can be read. "
        f"The first: {first.source}: {first.reason}."
    )


def _write_json(path: Path, report: CleaningReport) -> None:
    path.write_text(json.dumps(report.as_dict(), indent=1))

"""Preparation: rows stream from their source into the cache, and are cleaned there."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache import write_once
from leyden.data.cleaning import Cleaning, CleaningReport, clean
from leyden.data.rows import Ragged, RejectedItem, Rows
from leyden.errors import UserError

DIGEST_SIZE = 16


def prepare(
    folder: Path,
    read: Callable[[], Iterable[Rows]],
    *,
    steps: Cleaning,
    class_names: Sequence[str] | None,
) -> None:
    """Write the cache unless it is there; processes that come meanwhile wait and then read it.

    Args:
        folder: where the cache belongs. Its parent holds the lock.
        read: gives the rows; not called where the cache exists.
        steps: the cleaning steps to run.
        class_names: names of the indices in the targets, or ``None`` where targets are names.

    Raises:
        UserError: the source holds no row, or the folder can't be written.
    """
    write_once(folder, partial(_write, read=read, steps=steps, class_names=class_names))


@dataclass(kw_only=True)
class _Columns:
    """What is gathered row by row while the inputs stream to disk."""

    digests: list[bytes] = field(default_factory=list)
    targets: list[NDArray[np.generic]] = field(default_factory=list)
    parts: list[NDArray[np.str_]] = field(default_factory=list)
    groups: list[NDArray[np.str_]] = field(default_factory=list)
    times: list[NDArray[np.float64]] = field(default_factory=list)
    label_names: Sequence[str] | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    rejected: list[RejectedItem] = field(default_factory=list)
    changed: Counter[str] = field(default_factory=Counter)
    signatures: list[NDArray[np.uint32]] = field(default_factory=list)
    shapes: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    lengths: dict[str, list[NDArray[np.int64]]] = field(default_factory=dict)

    def add(self, rows: Rows, folder: Path) -> None:
        count = len(rows.targets)
        self.rejected.extend(rows.rejected)
        self.changed.update(rows.changed)
        self.facts |= rows.facts
        if count == 0:
            return
        arrays, targets = dict(rows.arrays), rows.targets
        self.digests.extend(_row_digests(arrays))
        if rows.sequences is not None:
            arrays["sequences"] = rows.sequences
            targets = _numbers(rows.sequences)
        self.targets.append(targets)
        self.parts.append(np.full(count, rows.part, dtype="U5"))
        self.sources.extend(rows.sources)
        if rows.groups is not None:
            self.groups.append(rows.groups)
        if rows.times is not None:
            self.times.append(rows.times)
        self.label_names = self.label_names or rows.label_names
        if rows.signatures is not None:
            self.signatures.append(rows.signatures)
        for name, array in arrays.items():
            if isinstance(array, Ragged):
                self.lengths.setdefault(name, []).append(np.diff(array.offsets))
                array = array.values  # rows of any length make one flat array
            self._append(name, array, folder)

    def _append(self, name: str, array: NDArray[Any], folder: Path) -> None:
        dtype, shape = self.shapes.get(name, (array.dtype.str, [0, *array.shape[1:]]))
        same = (array.dtype.str, list(array.shape[1:])) == (dtype, shape[1:])
        assert same, f"the rows of {name} change their dtype or shape from chunk to chunk"
        self.shapes[name] = (dtype, [shape[0] + len(array), *shape[1:]])
        with (folder / f"{name}.bin").open("ab") as stream:
            stream.write(np.ascontiguousarray(array).data)


def _write(
    folder: Path,
    *,
    read: Callable[[], Iterable[Rows]],
    steps: Cleaning,
    class_names: Sequence[str] | None,
) -> None:
    columns = _Columns()
    for rows in read():
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
    names, indices = _encode(targets, columns.label_names or class_names)
    parts = np.concatenate(columns.parts)
    keep, report = clean(
        digests=np.frombuffer(b"".join(columns.digests), dtype=f"V{DIGEST_SIZE}"),
        targets=indices,
        parts=parts,
        sources=columns.sources,
        rejected=columns.rejected,
        changed=columns.changed,
        signatures=np.concatenate(columns.signatures) if columns.signatures else None,
        steps=steps,
    )
    # Sequences are no classes: a split must not keep equal ones in proportion.
    classes = np.zeros_like(indices) if "sequences" in columns.shapes else indices
    np.save(folder / "targets.npy", classes)
    np.save(folder / "parts.npy", parts)
    np.save(folder / "kept.npy", np.flatnonzero(keep))
    if columns.groups:
        _, groups = np.unique(np.concatenate(columns.groups), return_inverse=True)
        np.save(folder / "groups.npy", groups.astype(np.int64))
    if columns.times:
        np.save(folder / "times.npy", np.concatenate(columns.times))
    for name, lengths in columns.lengths.items():
        offsets = np.cumsum(np.concatenate([[0], *lengths]), dtype=np.int64)
        np.save(folder / f"{name}.offsets.npy", offsets)
    # Names of files need not be Unicode.
    (folder / "sources.txt").write_text("\n".join(columns.sources), errors="surrogateescape")
    _write_json(folder / "cleaning.json", report)
    digest = hashlib.blake2b(b"".join(columns.digests) + indices.tobytes(), digest_size=16)
    meta = {
        "arrays": columns.shapes,
        "class_names": names,
        "facts": columns.facts,
        "fingerprint": digest.hexdigest(),
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1))


def _row_digests(arrays: Mapping[str, NDArray[Any] | Ragged]) -> Iterator[bytes]:
    columns = [
        array if isinstance(array, Ragged) else np.ascontiguousarray(array)
        for array in arrays.values()
    ]
    for row in zip(*columns, strict=True):
        digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
        for value in row:
            digest.update(value)
        yield digest.digest()


def _numbers(sequences: Ragged) -> NDArray[np.int64]:
    """Number sequences so that equal ones, and no others, have the same number."""
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in sequences]
    return np.frombuffer(b"".join(digests), dtype=np.int64)


def _encode(
    targets: NDArray[np.generic], class_names: Sequence[str] | None
) -> tuple[list[str], NDArray[np.generic]]:
    if class_names is not None:
        # Rows of several labels are truths, one per label.
        return list(class_names), targets.astype(np.int64 if targets.ndim == 1 else np.uint8)
    if targets.dtype.kind == "f":
        return [], targets.astype(np.float32)
    names, indices = np.unique(targets, return_inverse=True)
    return [str(name) for name in names], indices.astype(np.int64)


def _nothing_readable(rejected: Sequence[RejectedItem]) -> str:
    if not rejected:
        return "The data set holds no rows. Expected at least one; check data.root or data.path."
    first = rejected[0]
    return (
        f"None of the {len(rejected)} items of the data set is usable. "
        f"The first: {first.source}: {first.reason}."
    )


def _write_json(path: Path, report: CleaningReport) -> None:
    path.write_text(json.dumps(report.as_dict(), indent=1))

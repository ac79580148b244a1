"""Preparation of a cache: rows are written as they are read from their source, then cleaned."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from leyden.data.cache.array_files import ROWS_AT_ONCE, ArrayFiles
from leyden.data.cache.prepared import ARRAYS, COLUMNS, META, REPORT, SOURCES
from leyden.data.cache.source_names import ENDS, SourceNames, append_names
from leyden.data.cache.store import write_once
from leyden.data.cleaning.comparison import Comparison, digest_rows
from leyden.data.cleaning.near_duplicates import separate_contexts
from leyden.data.cleaning.steps import Cleaning, clean
from leyden.data.identity import Keys, hash_names, mix_keys, separate_repeats
from leyden.data.rows import GIVEN_SPLITS, Ragged, RejectedItem, Rows
from leyden.data.values import canonical, merge_equal
from leyden.errors import UserError
from leyden.ranks.environment import shows_progress


def prepare(
    folder: Path,
    read: Callable[[], Iterable[Rows]],
    *,
    steps: Cleaning,
    class_names: Sequence[str] | None,
) -> None:
    """Write the cache of a data set unless it exists; other processes wait until it is complete.

    Args:
        folder: Folder of the cache; the lock file is beside it.
        read: Function that yields the rows; called only if the cache does not exist.
        steps: Cleaning steps that run.
        class_names: Class names by index, if the targets are class indices; ``None`` if they are
            class names or no classes.

    Raises:
        UserError: If the source has no rows or items that cannot be read, too many rows would be
            dropped, or the folder cannot be written.
    """

    def write(unfinished: Path) -> None:
        rows = _WrittenRows(unfinished, class_names)
        with _Progress() as progress:
            for chunk in read():
                if not steps.unreadable:
                    _require_readable(chunk.rejected)
                rows.add(chunk)
                progress.read(len(chunk.targets))
            if "splits" not in rows.columns:
                raise UserError(_nothing_readable(rows.rejected))
            progress.clean()
            rows.finish(steps)

    write_once(folder, write)


class _Progress(ExitStack):
    """Progress bar over the rows of a source.

    It begins after the first rows, because a download before them has a bar of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._bar: tqdm[NoReturn] | None = None

    def read(self, count: int) -> None:
        """Count rows that were read."""
        if self._bar is None:
            bar = tqdm(
                desc="reading",
                disable=not shows_progress(),
                unit="row",
                unit_scale=True,
                leave=False,
                dynamic_ncols=True,
            )
            self._bar = self.enter_context(bar)
        self._bar.update(count)

    def clean(self) -> None:
        """Show that the rows are being cleaned."""
        if self._bar is not None:
            self._bar.set_description_str("cleaning")


class _WrittenRows:
    """Writer of a cache, whose memory does not grow with the number of rows.

    Args:
        folder: Folder of the cache.
        class_names: Class names by index, if the targets are class indices, or ``None``.
    """

    def __init__(self, folder: Path, class_names: Sequence[str] | None) -> None:
        self.folder = folder
        self.arrays = ArrayFiles(folder / ARRAYS)
        self.columns = ArrayFiles(folder / COLUMNS)
        # Needed to compare rows, and deleted afterwards.
        self.compared = ArrayFiles(folder / "compared")
        self.class_names = class_names
        self.classes = Numbering()
        self.is_grouped = False
        self.has_content_keys = False
        self.facts: dict[str, Any] = {}
        self.rejected: list[RejectedItem] = []
        self.changed: Counter[str] = Counter()

    def add(self, rows: Rows) -> None:
        """Append a chunk of rows."""
        self.rejected.extend(rows.rejected)
        self.changed.update(rows.changed)
        self.facts |= rows.facts
        if (count := len(rows.targets)) == 0:
            return
        for name, array in rows.arrays.items():
            self.arrays.append(name, array)
        self.compared.append("digests", digest_rows(rows.arrays))
        self._add_targets(rows)
        self.columns.append(
            "splits", np.full(count, GIVEN_SPLITS.index(rows.split), dtype=np.uint8)
        )
        self.columns.append(ENDS, append_names(self.folder / SOURCES, rows.sources))
        self._add_keys(rows)

    def finish(self, steps: Cleaning) -> None:
        """Clean the rows after the last chunk, and complete the files."""
        if self.classes.names:
            self.columns.rewrite("targets", partial(np.take, self.classes.places()))
            self.class_names = self.classes.names
        keys = self.compared.map_arrays()["keys"]
        identify_content = self.has_content_keys and not self.is_grouped
        self.columns.append("keys", separate_repeats(keys) if identify_content else keys)
        self._clean(steps)
        self.arrays.close()
        self.columns.close()
        shutil.rmtree(self.compared.folder)

    def _clean(self, steps: Cleaning) -> None:
        columns, compared = self.columns.map_arrays(), self.compared.map_arrays()
        rows = Comparison(
            digests=compared["digests"],
            targets=compared.get("targets", columns["targets"]),
            splits=columns["splits"],
            contexts=compared.get("contexts"),
            signatures=compared.get("signatures"),
        )
        report = clean(
            rows,
            class_names=self.class_names or (),
            sources=SourceNames(self.folder / SOURCES, columns[ENDS]),
            rejected=self.rejected,
            changed=self.changed,
            steps=steps,
        )
        for start in range(0, len(rows.keep), ROWS_AT_ONCE):
            kept = start + np.flatnonzero(rows.keep[start : start + ROWS_AT_ONCE])
            self.columns.append("kept", kept)
        meta = {
            "class_names": list(self.class_names or ()),
            "is_grouped": self.is_grouped,
            "facts": self.facts,
            "fingerprint": _digest_of(compared["digests"], rows.targets),
        }
        (self.folder / META).write_text(json.dumps(meta, indent=1))
        (self.folder / REPORT).write_text(json.dumps(report.as_dict(), indent=1))

    def _add_keys(self, rows: Rows) -> None:
        """Append the keys by which rows are split, and what distinguishes equal rows."""
        self.has_content_keys |= rows.keys is not None
        keys = hash_names(rows.sources) if rows.keys is None else rows.keys
        context: Keys | None = None
        if rows.groups is not None:
            self.is_grouped = True
            keys = context = _group_keys(rows.groups)
        if rows.times is not None:
            self.columns.append("times", rows.times)
            times = (rows.times + 0.0).view(np.uint64)  # -0.0 equals 0.0
            context = times if context is None else mix_keys(context, times)
        self.compared.append("keys", keys)
        signatures = rows.signatures
        if context is not None:
            self.compared.append("contexts", context)
        if signatures is not None:
            if context is not None:
                signatures = separate_contexts(signatures, context)
            self.compared.append("signatures", signatures)

    def _add_targets(self, rows: Rows) -> None:
        names = rows.label_names or self.class_names
        if rows.sequences is not None:
            # The hashes are for comparisons only: splits are not stratified by sequences.
            self.arrays.append("sequences", rows.sequences)
            self.compared.append("targets", _hash_sequences(rows.sequences))
            targets: NDArray[np.generic] = np.zeros(len(rows.targets), dtype=np.int64)
        elif names is not None:
            self.class_names = names
            # Class indices, or a truth value for each label.
            targets = rows.targets.astype(np.int64 if rows.targets.ndim == 1 else np.uint8)
        elif rows.targets.dtype.kind == "f":
            targets = rows.targets.astype(np.float64)
        else:
            targets = self.classes.numbers(rows.targets)
        self.columns.append("targets", targets)


class Numbering:
    """Provisional numbers of class names, until all names, and so their order, are known."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    @property
    def names(self) -> list[str]:
        """Sorted distinct names so far; names of equal values, such as 1 and 1.0, are one."""
        return sorted(set(merge_equal(list(self._numbers)).values()))

    def numbers(self, names: NDArray[np.generic]) -> NDArray[np.int64]:
        """Return the numbers ``(rows,)`` of names ``(rows,)``, in the order of first occurrence."""
        distinct, places = np.unique(names, return_inverse=True)
        known = self._numbers
        numbers = [known.setdefault(str(name), len(known)) for name in distinct.tolist()]
        return np.array(numbers, dtype=np.int64)[places]

    def places(self) -> NDArray[np.int64]:
        """Return the index ``(numbers,)`` in ``names`` of each number."""
        spelled = merge_equal(list(self._numbers))
        places = {name: place for place, name in enumerate(self.names)}
        return np.array([places[spelled[name]] for name in self._numbers], dtype=np.int64)


def _group_keys(groups: NDArray[np.str_]) -> Keys:
    names, places = np.unique(groups, return_inverse=True)
    return hash_names(map(canonical, names.tolist()))[places]


def _hash_sequences(sequences: Ragged) -> NDArray[np.int64]:
    """Return hashes ``(rows,)`` (int64) of sequences."""
    digests = [hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in sequences]
    return np.frombuffer(b"".join(digests), dtype=np.int64)


def _digest_of(*columns: NDArray[Any]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for column in columns:
        digest.update(column.data)
    return digest.hexdigest()


def _require_readable(rejected: Sequence[RejectedItem]) -> None:
    for item in rejected:
        if item.step == "unreadable":
            raise UserError(
                f"{item.source} cannot be read: {item.reason}. Fix or remove it, or let such items "
                "be skipped and reported with data.cleaning.unreadable=true."
            )


def _nothing_readable(rejected: Sequence[RejectedItem]) -> str:
    if not (lost := [item for item in rejected if item.dropped]):
        return "The data set holds no rows. Expected at least one; check data.root or data.path."
    first = lost[0]
    return (
        f"None of the {len(lost)} items of the data set is usable. "
        f"The first: {first.source}: {first.reason}."
    )

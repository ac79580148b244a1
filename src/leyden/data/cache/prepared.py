"""Prepared rows, memory-mapped from the cache by every process."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.array_files import read_arrays
from leyden.data.cache.source_names import ENDS, SourceNames
from leyden.data.cleaning.steps import CleaningReport
from leyden.data.identity import Keys
from leyden.data.splits import Population

ARRAYS = "arrays"
"""Folder of the inputs."""

COLUMNS = "columns"
"""Folder of what is known of each row beside its inputs."""

SOURCES = "sources.txt"

REPORT = "cleaning.json"

META = "meta.json"


@dataclass(frozen=True, kw_only=True)
class Cache:
    """A prepared data set; all that grows with its rows is mapped from disk.

    Attributes:
        path: its folder.
        arrays: the inputs, arrays ``(rows, ...)`` or ``Ragged`` ones.
        targets: ``(rows,)`` int64 class indices, or float64 numbers to predict, or
            ``(rows, labels)`` uint8 where a row may have several labels; zeros where
            the targets are the array ``sequences``.
        splits: ``(rows,)`` place in ``GIVEN_SPLITS`` of the split that the source gave each row.
        kept: row numbers that survived cleaning.
        keys: ``(rows,)`` uint64 hash of each row's group, or else of what identifies the row.
        is_grouped: Whether the keys are those of groups.
        times: ``(rows,)`` float64 times of the rows; ``None`` if they have none.
        sources: where each row came from.
        class_names: names in the order of the indices, or of the labels; empty for numbers.
        facts: what the kind has to know of the rows.
        fingerprint: digest of the rows' bytes and targets.
    """

    path: Path
    arrays: dict[str, Any]
    targets: NDArray[np.generic]
    splits: NDArray[np.uint8]
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
            splits=self.splits,
            times=self.times,
        )


def read_cache(folder: Path) -> Cache:
    """Map a prepared cache into memory."""
    meta = json.loads((folder / META).read_text())
    columns: dict[str, Any] = read_arrays(folder / COLUMNS)
    return Cache(
        path=folder,
        arrays=read_arrays(folder / ARRAYS),
        targets=columns["targets"],
        splits=columns["splits"],
        kept=columns["kept"],
        keys=columns["keys"],
        is_grouped=meta["is_grouped"],
        times=columns.get("times"),
        sources=SourceNames(folder / SOURCES, columns[ENDS]),
        class_names=tuple(meta["class_names"]),
        facts=meta["facts"],
        fingerprint=meta["fingerprint"],
    )

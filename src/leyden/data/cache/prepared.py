"""Prepared rows, which every process memory-maps from the cache."""

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
"""Name of the folder of the inputs."""

COLUMNS = "columns"
"""Name of the folder of the targets, splits, keys and other columns."""

SOURCES = "sources.txt"

REPORT = "cleaning.json"

META = "meta.json"


@dataclass(frozen=True, kw_only=True)
class Cache:
    """Prepared rows of a data set, memory-mapped from disk.

    Attributes:
        path: Folder of the cache.
        arrays: Inputs by name of the field, ``(rows, ...)`` or ``Ragged``.
        targets: Class indices ``(rows,)`` (int64); numbers to predict ``(rows,)`` (float64); truth
            values ``(rows, labels)`` (uint8) if a row may have several labels; or zeros if the
            targets are the array ``sequences``.
        splits: Codes ``(rows,)`` (uint8) in ``GIVEN_SPLITS`` of the splits given by the source.
        kept: Numbers ``(n,)`` (int64) of the rows that no cleaning step has dropped.
        keys: Hashes ``(rows,)`` (uint64) of the rows' groups, or of what identifies the rows.
        is_grouped: Whether the keys are hashes of groups.
        times: Times ``(rows,)`` (float64) of the rows; ``None`` if they have none.
        sources: Display name of each row.
        class_names: Names of the classes or labels in the order of their indices; empty for other
            targets.
        facts: What the kind needs in order to read the rows, as in ``Rows.facts``.
        fingerprint: Digest of the inputs and targets of all rows.
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
        """Read the report of the cleaning of these rows."""
        return CleaningReport.from_dict(json.loads((self.path / REPORT).read_text()))

    def population(self) -> Population:
        """Return the kept rows, in the form that a splitter takes."""
        return Population(
            rows=self.kept,
            keys=self.keys,
            targets=self.targets,
            splits=self.splits,
            times=self.times,
        )


def read_cache(folder: Path) -> Cache:
    """Memory-map the cache in a folder that ``prepare`` has written."""
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

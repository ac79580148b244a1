"""Quick looks at tables: what a sample of the target's cells holds."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from leyden.data.look import Look
from leyden.data.sources.csv_files import BLOCK_BYTES
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.cells import MISSING_CELLS, CellFormat, Cells
from leyden.data.table.cleaning import TableCleaning
from leyden.data.table.columns import Evidence
from leyden.data.table.roles import Roles
from leyden.data.table.rows import TableReading
from leyden.errors import UserError
from leyden.schema import TargetKind

SMALL_BLOCK = 1 << 20
"""Number of bytes of a text file of which the rows are looked at, unless a row is longer."""

MOST_ROWS = 20_000
"""Number of rows that are looked at; they are evenly spaced in the first block of a file."""


def look_at_columns(data: Mapping[str, Any]) -> Look:
    """Return what is known of any table: what its options say of the target."""
    given = data.get("target_type")
    if "target" in data and Roles.from_options(**_arguments(Roles.from_options, data)).has_labels:
        return Look(kind="table", target="labels", reason="a row may have several labels")
    if given in ("class", "number"):
        return Look(kind="table", target=given, reason=f"data.target_type={given}")
    return Look(kind="table", reason="the data are a table")


def look_at_table(data: Mapping[str, Any]) -> Look:
    """Look at the cells of the target in the first block of a file.

    Raises:
        UserError: If the file cannot be read, has no such columns, or the cells of a target are not
            what the options need.
    """
    try:
        return _look(data, block_bytes=SMALL_BLOCK)
    except UserError:  # perhaps because a row is longer
        return _look(data, block_bytes=BLOCK_BYTES)


def _look(data: Mapping[str, Any], *, block_bytes: int) -> Look:
    known = look_at_columns(data)
    path = Path(str(data.get("path"))).expanduser()
    is_there = path.is_file() or path.is_dir()  # a pipe can be read only once
    if "target" not in data or not is_there:
        return known
    file = TableFile(**_arguments(TableFile, data) | {"path": path})
    reading = _reading(file, data, block_bytes=block_bytes)
    chunk = next(iter(reading.chunks(reading.roles.targets)), None)
    if chunk is None or not chunk.sources:
        return known
    cells = Cells(_thin(chunk), reading.written)
    seen = {name: _inspect(name, chunk, cells, reading.written) for name in reading.roles.targets}
    if not all(evidence.present for evidence in seen.values()):
        return known
    kind = reading.target_kind(seen)
    return known if known.target else _look_at_target(reading, cells, seen, kind)


def _reading(file: TableFile, data: Mapping[str, Any], *, block_bytes: int) -> TableReading:
    missing = tuple(map(str, data.get("missing_cells", MISSING_CELLS)))
    roles = Roles.from_options(**_arguments(Roles.from_options, data))
    declared = {str(name): kind for name, kind in (data.get("columns") or {}).items()}
    return TableReading(
        names=file.column_names([*roles.names, *declared], block_bytes=block_bytes),
        chunks=partial(file.chunks, block_bytes=block_bytes),
        written=CellFormat(**_arguments(CellFormat, data) | {"missing": missing}),
        roles=roles,
        declared=declared,
        steps=TableCleaning(),
    ).find_names()


def _arguments(function: Callable[..., Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the node that are arguments of a function."""
    return {name: data[name] for name in signature(function).parameters if name in data}


def _thin(chunk: Chunk) -> Chunk:
    """Return a chunk of at most ``MOST_ROWS`` of the rows."""
    rows = len(chunk.sources)
    kept = np.linspace(0, rows - 1, min(rows, MOST_ROWS)).astype(np.int64)
    columns = {name: cells.take(kept) for name, cells in chunk.columns.items()}
    return replace(chunk, columns=columns, sources=[chunk.sources[row] for row in kept.tolist()])


def _inspect(name: str, chunk: Chunk, cells: Cells, written: CellFormat) -> Evidence:
    evidence = Evidence()
    evidence.add(cells[name], grouped=written.find_grouped(chunk.columns[name]))
    return evidence


def _look_at_target(
    reading: TableReading, cells: Cells, seen: Mapping[str, Evidence], kind: TargetKind
) -> Look:
    """Describe a single target."""
    (target,) = reading.roles.targets
    evidence, values = seen[target], len(cells[target].values)
    if target in reading.declared:
        reason = f"data.columns.{target}={reading.declared[target]}"
        return Look(kind="table", target=kind, reason=reason)
    numbers, dates = (count == evidence.present for count in (evidence.numbers, evidence.dates))
    noun = "numbers" if numbers else "dates" if dates else "values"
    reason = f"{target} holds {values:,} different {noun} in {evidence.present:,} rows"
    decided_by = "data.target_type" if numbers or dates or kind == "number" else ""
    return Look(kind="table", target=kind, reason=reason, decided_by=decided_by)

"""Reading of tables to predict on."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from leyden.arrays import Arrays
from leyden.data.inputs import Inputs, read_each
from leyden.data.parts import Counts, Part, TablePart
from leyden.data.readers import Reader, number_rows, object_schema
from leyden.data.sources.arrow import string_array
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.cells import CellFormat
from leyden.data.table.columns import Column, load_columns, split_columns
from leyden.data.table.encoding import MISSING
from leyden.data.table.inputs import InputRows
from leyden.data.table.json_rows import cells_of, column_schema, json_number
from leyden.schema import Field

FITTED = ("centres", "low", "high")
"""Statistics of numbers that reading needs, one value per column each."""


@dataclass(frozen=True, kw_only=True)
class TableReader(Reader):
    """Reads rows of tables as numbers and codes of categories.

    Attributes:
        statistics: Fitted ``columns``, ``values`` of the categorical ones, and ``numbers``.
        written: Format of the cells.
        file: Format of the files; its path is replaced.
        target: Name of the column that the network predicts, if it is one.
        unit: Unit of that column, if it is declared.
    """

    kind: ClassVar = "table"

    statistics: Mapping[str, Any]
    written: CellFormat
    file: TableFile = field(default_factory=lambda: TableFile(path=Path()))
    target: str | None = None
    unit: str | None = None

    @property
    def values(self) -> tuple[Field, ...]:
        """The numbers and the codes of each row."""
        numbers, categories = split_columns(load_columns(self.statistics))
        units = {"boolean": " (0 or 1)", "date": " (days since 2000 in UTC)"}
        named = ", ".join(f"{column.name}{units.get(column.kind, '')}" for column in numbers)
        return (
            Field(
                name="numbers",
                dtype="float64",
                shape=("batch", len(numbers)),
                meaning=f"numbers, NaN if missing: {named or 'none'}",
            ),
            Field(
                name="categories",
                dtype="int64",
                shape=("batch", len(categories)),
                meaning="1 + place in preprocessing.statistics.values, 0 if it is not there: "
                f"{', '.join(column.name for column in categories) or 'none'}",
            ),
        )

    @cached_property
    def rows(self) -> InputRows:
        """Encodes the rows."""
        return InputRows(self.statistics, self.written)

    @property
    def columns(self) -> Sequence[str]:
        """Names of the fitted columns; the tables need not hold the target."""
        return self.rows.columns

    def files(self, paths: Sequence[str]) -> list[Path]:
        """Return the tables, which are opened when they are read."""
        return [Path(path) for path in paths]

    def table(self, path: Path) -> TableFile:
        """Return a table in the format of the training data."""
        return replace(self.file, path=path, title=str(path))

    def read_part(self, part: Part) -> Inputs:
        """Encode rows of a table."""
        assert isinstance(part, TablePart)
        chunk = part.chunk()
        values, counts = self.rows.encode(chunk)
        return Inputs(
            names=chunk.sources,
            fields=values,
            rejected=chunk.rejected,
            kept=part.kept(chunk),
            counts=counts,
        )

    def check(self, counts: Counts, *, is_last: bool) -> None:
        """Raise if a column has cells, but no known one."""
        self.rows.check(counts, is_last=is_last)

    def warnings(self, counts: Counts) -> Iterable[str]:
        """Describe unknown and implausible cells."""
        return self.rows.warnings(counts)

    @property
    def row_schema(self) -> dict[str, Any]:
        """An object with a value for each fitted column; others are ignored."""
        known = self.statistics["values"]
        return object_schema(
            {each.name: column_schema(each, known.get(each.name, ())) for each in self._used}
        )

    def decode_rows(self, rows: Sequence[Any]) -> Inputs:
        """Encode JSON rows; unknown categories do not reject a row."""
        columns = self._used
        return read_each(
            number_rows(rows), lambda row: cells_of(row, columns, self.written), self._encode
        )

    def encode_row(self, values: Arrays, row: int) -> dict[str, Any]:
        """Return a JSON row of numbers and categories; unknown categories are null."""
        numbers, categories = split_columns(load_columns(self.statistics))
        cells = {
            column.name: json_number(value, column)
            for column, value in zip(numbers, values["numbers"][row], strict=True)
        }
        for column, code in zip(categories, values["categories"][row].tolist(), strict=True):
            known = [MISSING, *self.statistics["values"][column.name]]
            cells[column.name] = known[code] or None
        return cells

    @property
    def _used(self) -> list[Column]:
        numbers, categories = split_columns(load_columns(self.statistics))
        return [*numbers, *categories]

    def _encode(self, rows: Sequence[Sequence[str | None]]) -> dict[str, Any]:
        """Encode cells ``(rows, columns)`` as the values of a batch."""
        columns = self._used
        cells = {
            column.name: string_array(cells)
            for column, cells in zip(columns, zip(*rows, strict=True), strict=True)
        }
        numeric = {column.name for column in columns if column.kind == "numeric"}
        chunk = Chunk(columns=cells, sources=[""] * len(rows), numbers=numeric)
        return self.rows.encode(chunk)[0]

    def to_json(self) -> dict[str, Any]:
        """Return the settings; bounds that are infinite are null."""
        numbers = {
            name: [value if math.isfinite(value) else None for value in values.tolist()]
            for name, values in self.statistics["numbers"].items()
            if name in FITTED
        }
        kept = {name: self.statistics[name] for name in ("columns", "values")}
        file = {each.name: getattr(self.file, each.name) for each in fields(TableFile)}
        del file["path"], file["title"]
        return {
            "statistics": kept | {"numbers": numbers},
            "written": vars(self.written),
            "file": file,
            "target": self.target,
            "unit": self.unit,
        }

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """Build the reader from the result of ``to_json``."""
        statistics = settings["statistics"]
        missing = {"centres": math.nan, "low": -math.inf, "high": math.inf}
        numbers = {
            name: np.array([missing[name] if value is None else value for value in values])
            for name, values in statistics["numbers"].items()
        }
        return cls(
            statistics={**statistics, "numbers": numbers},
            written=CellFormat(**settings["written"]),
            file=TableFile(path=Path(), **settings["file"]),
            target=settings["target"],
            unit=settings["unit"],
        )

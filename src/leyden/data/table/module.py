"""The table kind: columns are told apart, cleaned, and become numbers and codes."""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset

from leyden.batch import Batch
from leyden.data import cache
from leyden.data.base import DataModule
from leyden.data.cleaning import CleaningReport
from leyden.data.inputs import Inputs
from leyden.data.rows import Rows
from leyden.data.table.batches import Layout, TableRows
from leyden.data.table.cleaning import TableCleaning
from leyden.data.table.columns import Column
from leyden.data.table.fitting import Scaling, fit_table
from leyden.data.table.normalise import CALENDAR_FEATURES, NormaliseNumbers
from leyden.data.table.predicting import read_rows
from leyden.data.table.reading import TableReading
from leyden.data.table.report import with_table_steps
from leyden.data.table.roles import Roles, TargetType
from leyden.data.table.training import Training
from leyden.data.tables import Chunk, TableFile

log = logging.getLogger(__name__)

MISSING_CELLS = ("NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "?")


class TableData(DataModule):
    """Rows of a table; a subclass says where they come from.

    Args:
        target: the column to learn; or several columns of truths, one per label.
        target_type: ``class`` or ``number``; ``auto`` takes few whole numbers for classes.
        label_separator: between the labels of a row, where the target column holds several.
        columns: kinds of columns by name, where those inferred are wrong: ``numeric``,
            ``categorical``, ``boolean``, ``date`` (or ``date:FORM``) or ``ignored``.
        group: column whose rows of one value stay in one part; no input.
        time: column to split by, the latest rows being the test part; an input only where
            ``columns`` names its kind.
        scaling: of numbers: ``standard``, or ``quantile`` to a normal distribution by ranks.
        max_categories: values that a categorical column may have; rarer ones are unknown.
        missing_cells: what stands for a missing cell beside nothing.
        cleaning: the cleaning steps that run.
        options: those of every data module.
    """

    raw_field = network_field = "numbers"

    def __init__(
        self,
        *,
        target: str | Sequence[str],
        target_type: TargetType = "auto",
        label_separator: str | None = None,
        columns: Mapping[str, str] | None = None,
        group: str | None = None,
        time: str | None = None,
        scaling: Scaling = "standard",
        max_categories: int = 1000,
        missing_cells: Sequence[str] = MISSING_CELLS,
        cleaning: TableCleaning | None = None,
        **options: Any,
    ) -> None:
        self.steps = cleaning or TableCleaning()
        super().__init__(cleaning=self.steps, **options)
        self.roles = Roles(
            targets=(target,) if isinstance(target, str) else tuple(target),
            target_type=target_type,
            label_separator=label_separator,
            group=group,
            time=time,
            missing=tuple(missing_cells),
        )
        self.columns = dict(columns or {})
        self.scaling = scaling
        self.max_categories = max_categories

    @abstractmethod
    def table_settings(self) -> dict[str, Any]:
        """Say what the table is, cheaply: plain values that change when its cells would."""

    @abstractmethod
    def column_names(self) -> list[str]:
        """List the columns of the table."""

    @abstractmethod
    def chunks(self, columns: Sequence[str]) -> Iterator[Chunk]:
        """Read some columns, in an order of rows that never changes."""

    def input_file(self, path: Path) -> TableFile:
        """Open a file to predict on."""
        return TableFile(path=path)

    def source_settings(self) -> dict[str, Any]:
        """Say what the table is and how its columns are read."""
        return {"table": self.table_settings(), "roles": vars(self.roles), "kinds": self.columns}

    def read(self) -> Iterator[Rows]:
        """Look at all cells to tell the columns apart, then encode them chunk by chunk."""
        reading = TableReading(
            names=self.column_names(),
            chunks=self.chunks,
            roles=self.roles,
            declared=self.columns,
            steps=self.steps,
        )
        return reading.rows()

    def fit(self, arrays: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Fit columns, ranges, scales and values on the training rows."""
        training = Training(arrays=arrays, rows=rows, targets=self.cached.targets[rows])
        return fit_table(
            training,
            [Column(**column) for column in self.cached.facts["columns"]],
            self.cached.facts["values"],
            steps=self.steps,
            scaling=self.scaling,
            max_categories=self.max_categories,
        )

    def dataset(self, cached: cache.Cache) -> Dataset[Batch]:
        """Fetch the columns that were fitted."""
        return TableRows(cached, self._layout(cached))

    def normalisation(self) -> nn.Module:
        """Build the fitted filling and scaling of numbers."""
        fitted = {name: v for name, v in self.statistics["numbers"].items() if name != "centres"}
        return NormaliseNumbers(**fitted)

    def network_sizes(self) -> dict[str, Any]:
        """Size networks by the numbers, the values of each categorical column, and the outputs."""
        numbers = self.statistics["numbers"]
        features = len(numbers["low"]) + len(numbers["gaps"])
        return {
            "num_numbers": features + CALENDAR_FEATURES * len(numbers["dates"]),
            "cardinalities": [len(known) + 1 for known in self.statistics["values"].values()],
            "num_outputs": len(self.class_names or ()) or 1,
        }

    def read_inputs(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read the rows of table files; the target need not be among their columns."""
        files = [self.input_file(Path(path)) for path in paths]
        return read_rows(files, self.statistics, self.roles.missing)

    def cleaning_report(self) -> CleaningReport:
        """Add what was found when the columns were fitted."""
        parts = {part: self.part(part) for part in ("train", "val", "test")}
        return with_table_steps(
            self.cached, self._layout(self.cached), self.statistics, self.steps, parts
        )

    def _layout(self, cached: cache.Cache) -> Layout:
        columns = [Column(**column) for column in cached.facts["columns"]]
        return Layout.of(self.statistics, columns, cached.facts["values"])

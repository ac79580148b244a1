"""The table kind: reads columns as numbers and categories, and fits their preprocessing."""

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import Dataset

from leyden.batch import Batch, as_tensors
from leyden.data.base import DataModule
from leyden.data.cache.prepared import Cache
from leyden.data.cleaning.steps import CleaningReport
from leyden.data.features import Features
from leyden.data.inputs import Inputs
from leyden.data.rows import SPLITS, Rows
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.cells import MISSING_CELLS, CellFormat
from leyden.data.table.cleaning import TableCleaning, target_outliers, with_table_steps
from leyden.data.table.columns import Column, described
from leyden.data.table.encoding import Layout
from leyden.data.table.inputs import read_rows, strange_cells
from leyden.data.table.normalise import CALENDAR_FEATURES, NormaliseNumbers, Scaling, fit_table
from leyden.data.table.roles import Roles, TargetType
from leyden.data.table.rows import TableReading
from leyden.data.table.screening import Training

log = logging.getLogger(__name__)


class TableData(DataModule):
    """Rows of a table; a subclass says where they come from.

    Args:
        target: the column to learn; or several columns of truth values, one per label.
        target_type: ``class`` or ``number``; ``auto`` takes few whole numbers for classes.
        label_separator: between the labels of a row, where the target column holds several.
        columns: kinds of columns by name, where those inferred are wrong: ``numeric``,
            ``categorical``, ``boolean``, ``date`` (or ``date:FORM``), ``numeric:UNIT`` or
            ``ignored``. A declared column is never taken for an identifier, and one that is the
            target is learned as its kind says.
        group: column whose rows of one value stay in one split; no input.
        time: column to split by, the latest rows being the test split; an input only where
            ``columns`` names its kind.
        scaling: of numbers: ``standard``, or ``quantile`` to a normal distribution by ranks.
        max_categories: values that a categorical column may have; rarer ones are unknown.
        missing_cells: Words that mean a missing cell, besides an empty one.
        decimal: Decimal separator of numbers.
        thousands: Separator between the thousands of numbers.
        options: those of every data module.
    """

    cleaning: TableCleaning
    cleaning_type = TableCleaning

    def __init__(
        self,
        *,
        target: str | float | bool | Sequence[str | float | bool],
        target_type: TargetType = "auto",
        label_separator: str | None = None,
        columns: Mapping[str | int, str] | None = None,
        group: str | float | bool | None = None,
        time: str | float | bool | None = None,
        scaling: Scaling = "standard",
        max_categories: int = 1000,
        missing_cells: Sequence[str | float] = MISSING_CELLS,
        decimal: str = ".",
        thousands: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.roles = Roles(
            targets=tuple(map(str, _listed(target))),
            target_type=target_type,
            label_separator=label_separator,
            group=None if group is None else str(group),
            time=None if time is None else str(time),
        )
        self.written = CellFormat(
            missing=tuple(map(str, missing_cells)), decimal=decimal, thousands=thousands
        )
        self.columns = {str(name): kind for name, kind in (columns or {}).items()}
        self.scaling = scaling
        self._warned: set[str] = set()
        self.max_categories = max_categories

    @abstractmethod
    def table_settings(self) -> dict[str, Any]:
        """Say what the table is, cheaply: plain values that change when its cells would."""

    @abstractmethod
    def column_names(self) -> list[str]:
        """List the columns of the table."""

    @abstractmethod
    def chunks(self, columns: Sequence[str], *, beside: Sequence[str] = ()) -> Iterator[Chunk]:
        """Read some columns, in an order of rows that never changes.

        Args:
            columns: Columns to read.
            beside: Columns that only tell rows apart: cells that are not valid in the encoding of
                the table do not make a row unreadable.
        """

    def input_file(self, path: str) -> TableFile:
        """Open a file to predict on, as the user calls it."""
        return TableFile(path=Path(path), title=path)

    def source_settings(self) -> dict[str, Any]:
        """Return what the table is and how its columns are read."""
        return {
            "table": self.table_settings(),
            "roles": vars(self._known_roles()),
            "kinds": self._known_kinds(),
            "cells": vars(self.written),
        }

    def read(self) -> Iterator[Rows]:
        """Look at all cells to tell the columns apart, then encode them chunk by chunk."""
        reading = TableReading(
            names=self.column_names(),
            chunks=self.chunks,
            written=self.written,
            roles=self._known_roles(),
            declared=self._known_kinds(),
            steps=self.cleaning,
        )
        for rows in reading.rows():
            self._warn(rows.facts.get("warnings", ()))
            yield rows

    def fit(self, arrays: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Fit columns, ranges, scales and values on the training rows."""
        facts = self.cached.facts
        columns = [Column(**column) for column in facts["columns"]]
        training = Training(arrays=arrays, rows=rows, targets=self.cached.targets[rows])
        log.info("columns: %s", described(columns))
        self._warn(facts["warnings"])
        fitted = fit_table(
            training,
            columns,
            facts["values"],
            declared=facts["declared"],
            steps=self.cleaning,
            scaling=self.scaling,
            max_categories=self.max_categories,
        )
        left_out = {
            column.name: "it has no value" for column in columns if column.kind == "ignored"
        }
        left_out |= {refused["column"]: refused["reason"] for refused in fitted["refused"]}
        self._warn(
            f"The column {name} is left out: {reason}"
            for name, reason in left_out.items()
            if facts["declared"].get(name) != "ignored"
        )
        self._warn(f"{count} {found}" for _, count, found in target_outliers(self.cached, rows))
        return fitted

    def dataset(self, cached: Cache) -> Dataset[Batch]:
        """Fetch the columns that were fitted; what training never saw is as in prediction."""
        if self._is_measured():
            self._warn(strange_cells(cached, self.statistics))
        return TableRows(cached, self._layout(cached))

    def normalisation(self) -> dict[str, nn.Module]:
        """Build the fitted filling and scaling of numbers."""
        fitted = {name: v for name, v in self.statistics["numbers"].items() if name != "centres"}
        return {"numbers": NormaliseNumbers(**fitted)}

    def network_sizes(self) -> dict[str, Any]:
        """Size networks by the numbers, the values of each categorical column, and the outputs."""
        numbers = self.statistics["numbers"]
        columns = [Column(**column) for column in self.statistics["columns"]]
        if sum(column.is_number for column in columns) != len(numbers["low"]):
            raise ValueError("the columns are not those whose numbers were fitted")
        features = len(numbers["low"]) + len(numbers["gaps"])
        return {
            "num_numbers": features + CALENDAR_FEATURES * len(numbers["dates"]),
            "cardinalities": [len(known) + 1 for known in self.statistics["values"].values()],
            "num_outputs": len(self.class_names or ()) or 1,
        }

    def summarise(self, inputs: Mapping[str, Tensor]) -> Features:
        """Return the encoded columns."""
        cardinalities = self.network_sizes()["cardinalities"]
        return Features(**inputs, cardinalities=cardinalities)

    def read_inputs(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read the rows of table files; the target need not be among their columns."""
        files = [self.input_file(path) for path in paths]
        return read_rows(files, self.statistics, self.written)

    def cleaning_report(self) -> CleaningReport:
        """Add what was found when the columns were fitted."""
        splits = {split: self.row_numbers(split) for split in SPLITS}
        return with_table_steps(
            self.cached, self._layout(self.cached), self.statistics, self.cleaning, splits
        )

    def _is_measured(self) -> bool:
        """Whether a trained network is measured on another table, which may have few rows."""
        return self.tests_all_rows and bool(self.statistics)

    def _known_kinds(self) -> dict[str, str]:
        """Return the declared kinds of columns; of another table those that training had."""
        if not self._is_measured():
            return self.columns
        fitted = [Column(**column) for column in self.statistics["columns"]]
        there = self.column_names()
        return self.columns | {c.name: c.declaration for c in fitted if c.name in there}

    def _known_roles(self) -> Roles:
        if not self._is_measured():
            return self.roles
        return replace(self.roles, target_type="class" if self.class_names else "number")

    def _layout(self, cached: Cache) -> Layout:
        columns = [Column(**column) for column in cached.facts["columns"]]
        return Layout.of(self.statistics, columns, cached.facts["values"])

    def _warn(self, messages: Iterable[str]) -> None:
        """Log each message once, whether the table was read in this run or before."""
        for message in messages:
            if message not in self._warned:
                self._warned.add(message)
                log.warning("%s", message)


class TableRows(Dataset[Batch]):
    """Rows of a cached table."""

    def __init__(self, cached: Cache, layout: Layout) -> None:
        self.numbers: NDArray[np.float64] = cached.arrays["numbers"]
        self.categories: NDArray[np.int32] = cached.arrays["categories"]
        self.targets = torch.from_numpy(cached.targets)
        self.layout = layout

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        places = rows.numpy()
        inputs = self.layout.inputs(self.numbers[places], self.categories[places])
        return Batch(inputs=as_tensors(inputs), targets=self.targets[rows], rows=rows, seed=seed)


def _listed(target: Any) -> Sequence[Any]:
    return target if isinstance(target, Sequence) and not isinstance(target, str) else [target]

"""The data module of tables."""

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.base import DataModule
from leyden.data.batches.fetched_rows import FetchedRows
from leyden.data.cache.prepared import Cache
from leyden.data.cleaning.steps import CleaningReport
from leyden.data.features import Features
from leyden.data.rows import SPLITS, Rows
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.cells import MISSING_CELLS, CellFormat
from leyden.data.table.cleaning import TableCleaning, add_table_steps, target_outliers
from leyden.data.table.columns import describe_columns, load_columns
from leyden.data.table.encoding import Layout
from leyden.data.table.inputs import unknown_cells
from leyden.data.table.normalise import CALENDAR_FEATURES, NormaliseNumbers, Scaling, fit_table
from leyden.data.table.reader import TableReader
from leyden.data.table.roles import Name, Roles, TargetType
from leyden.data.table.rows import TableReading
from leyden.data.table.screening import Training

log = logging.getLogger(__name__)


class TableData(DataModule):
    """Rows of a table; a subclass lists its columns and reads chunks of them.

    Columns become numbers or categories; their kinds are inferred from all cells.

    Args:
        target: Column to learn, or several columns of truth values, one per label.
        target_type: ``class`` or ``number``; ``auto`` takes a few distinct integers as classes.
        label_separator: Separator of the labels in a cell of the target; ``None`` for one label.
        columns: Kinds of columns by name, instead of the inferred ones: ``numeric``,
            ``categorical``, ``boolean``, ``date``, ``date:FORM``, ``numeric:UNIT`` or ``ignored``.
            Declared columns are never identifiers; that of the target decides between classes and
            numbers.
        group: Column of what must stay in one split, such as the patient; it is not an input.
        time: Column of the time by which rows are split, the latest into the test split; it is an
            input only if ``columns`` declares its kind.
        scaling: Scaling of numbers: ``standard``, or ``quantile`` to a normal distribution.
        max_categories: Largest number of values of a categorical column; rarer ones are unknown.
        missing_cells: Words that mean a missing cell, besides an empty one.
        decimal: Decimal separator of numbers.
        thousands: Separator between thousands; ``None`` for none.
        options: Options of ``DataModule``.

    Raises:
        ValueError: If ``group`` and ``time``, or two ways to give labels, are combined.
        UserError: If the group is the target, or a separator is impossible.
    """

    cleaning: TableCleaning
    cleaning_type = TableCleaning
    look = "leyden.data.table.look.look_at_columns"

    def __init__(
        self,
        *,
        target: Name | Sequence[Name],
        target_type: TargetType = "auto",
        label_separator: str | None = None,
        columns: Mapping[str | int, str] | None = None,
        group: Name | None = None,
        time: Name | None = None,
        scaling: Scaling = "standard",
        max_categories: int = 1000,
        missing_cells: Sequence[str | float] = MISSING_CELLS,
        decimal: str = ".",
        thousands: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.roles = Roles.from_options(
            target=target,
            target_type=target_type,
            label_separator=label_separator,
            group=group,
            time=time,
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
        """Return plain values that change when the cells of the table would, without reading it."""

    @abstractmethod
    def column_names(self) -> list[str]:
        """Return the names of the columns of the table."""

    @abstractmethod
    def chunks(self, columns: Sequence[str], *, beside: Sequence[str] = ()) -> Iterator[Chunk]:
        """Yield chunks of some columns, in an order of rows that never changes.

        Args:
            columns: Columns to read.
            beside: Further columns, whose cells do not make a row unreadable if they are not valid
                in the encoding of the table.
        """

    def input_file(self) -> TableFile:
        """Return the format of files to predict on, with any path."""
        return TableFile(path=Path())

    def source_settings(self) -> dict[str, Any]:
        """Return the state of the table, and the settings by which its columns are read."""
        return {
            "table": self.table_settings(),
            "roles": vars(self._known_roles()),
            "kinds": self._known_kinds(),
            "cells": vars(self.written),
        }

    def read(self) -> Iterator[Rows]:
        """Read all cells to infer the kinds of the columns, then encode them chunk by chunk."""
        reading = TableReading(
            names=self.column_names(),
            chunks=self.chunks,
            written=self.written,
            roles=self._known_roles(),
            declared=self._known_kinds(),
            steps=self.cleaning,
        )
        for rows in reading.find_names().rows():
            self._warn(rows.facts.get("warnings", ()))
            yield rows

    def fit(self, arrays: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Choose the columns, and fit their ranges, scales and values on the training rows."""
        facts = self.cached.facts
        columns = load_columns(facts)
        targets = self.cached.targets[rows]
        training = Training(arrays=arrays, columns=columns, rows=rows, targets=targets)
        log.info("columns: %s", describe_columns(columns))
        self._warn(facts["warnings"])
        fitted = fit_table(
            training,
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
        self._warn(
            f"The target has {count} {found}"
            for _, count, found in target_outliers(self.cached, rows)
        )
        return fitted

    def dataset(self, cached: Cache) -> FetchedRows:
        """Build the dataset of the fitted columns."""
        if self._is_evaluated():
            self._warn(unknown_cells(cached, self.statistics))
        return FetchedRows(partial(self._layout(cached).fetch, cached.arrays), cached.targets)

    def normalisation(self) -> dict[str, nn.Module]:
        """Build the fitted imputation and scaling of numbers."""
        fitted = {name: v for name, v in self.statistics["numbers"].items() if name != "centres"}
        return {"numbers": NormaliseNumbers(**fitted)}

    def network_sizes(self) -> dict[str, Any]:
        """Return the numbers of features, of values per categorical column, and of outputs."""
        numbers = self.statistics["numbers"]
        columns = load_columns(self.statistics)
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

    def reader(self) -> TableReader:
        """Return the reader of tables with the fitted columns, which need not hold the target."""
        target = self.roles.targets[0] if len(self.roles.targets) == 1 else None
        declared = self.columns.get(target or "", "")
        return TableReader(
            statistics=self.statistics,
            written=self.written,
            file=self.input_file(),
            target=target,
            unit=declared.partition(":")[2] if declared.startswith("numeric:") else None,
        )

    def raw_fields(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Measure numbers from the medians, in float64."""
        centres = self.statistics["numbers"]["centres"].to(values["numbers"].device)
        return {**values, "numbers": (values["numbers"] - centres).float()}

    def values_of(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return the numbers and the codes of cached rows."""
        arrays = self.cached.arrays
        layout = self._layout(self.cached)
        return layout.values(arrays["numbers"][rows], arrays["categories"][rows])

    def cleaning_report(self) -> CleaningReport:
        """Return the report of all cleaning steps, those on the training rows included."""
        splits = {split: self.row_numbers(split) for split in SPLITS}
        return add_table_steps(
            self.cached, self._layout(self.cached), self.statistics, self.cleaning, splits
        )

    def _is_evaluated(self) -> bool:
        """Whether a trained network is evaluated on another table, which may have few rows."""
        return self.tests_all_rows and bool(self.statistics)

    def _known_kinds(self) -> dict[str, str]:
        """Return the declared kinds of columns; for another table also those of training."""
        if not self._is_evaluated():
            return self.columns
        names = self.column_names()
        fitted = [column for column in load_columns(self.statistics) if column.name in names]
        return self.columns | {column.name: column.declaration for column in fitted}

    def _known_roles(self) -> Roles:
        if not self._is_evaluated():
            return self.roles
        return replace(self.roles, target_type="class" if self.class_names else "number")

    def _layout(self, cached: Cache) -> Layout:
        return Layout.of(self.statistics, load_columns(cached.facts), cached.facts["values"])

    def _warn(self, messages: Iterable[str]) -> None:
        """Log each message once, also if the table was cached by an earlier run."""
        for message in messages:
            if message not in self._warned:
                self._warned.add(message)
                log.warning("%s", message)

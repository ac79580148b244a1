"""What is fitted on the training rows of a table."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from leyden.data.table.cleaning import TableCleaning
from leyden.data.table.columns import Column
from leyden.data.table.encoding import MISSING
from leyden.data.table.normalise import DAYS
from leyden.data.table.ranges import plausible_range
from leyden.data.table.refusal import refused
from leyden.data.table.training import Training
from leyden.data.values import matcher
from leyden.errors import UserError

Scaling = Literal["standard", "quantile"]

MOST_KNOTS = 1000


def fit_table(
    training: Training,
    columns: Sequence[Column],
    values: Mapping[str, Sequence[str]],
    *,
    declared: Collection[str],
    steps: TableCleaning,
    scaling: Scaling,
    max_categories: int,
) -> dict[str, Any]:
    """Choose the columns that become inputs, and fit what turns their cells into features.

    Args:
        training: the training rows.
        columns: those of the cache.
        values: of its categorical columns, in the order of their codes.
        declared: Names of columns whose kind is declared.
        steps: the cleaning steps that run.
        scaling: of numbers.
        max_categories: how many values of a column are told apart.

    Returns:
        ``columns`` (numbers first), the ``numbers`` and ``values`` of these, and those ``refused``.

    Raises:
        UserError: no column is left.
    """
    numbers = [column for column in columns if column.is_number]
    categories = [column for column in columns if column.kind == "categorical"]
    left_out = refused(training, numbers, categories, declared=declared, steps=steps)
    names = {refusal.column for refusal in left_out}
    number_places = [place for place, c in enumerate(numbers) if c.name not in names]
    category_places = [place for place, c in enumerate(categories) if c.name not in names]
    used_numbers = [numbers[place] for place in number_places]
    used_categories = [categories[place] for place in category_places]
    if not used_numbers and not used_categories:
        reasons = "; ".join(f"{refusal.column}: {refusal.reason}" for refusal in left_out)
        raise UserError(f"No column is left to learn from. {reasons or 'The table has none'}.")
    return {
        "columns": [vars(column) for column in (*used_numbers, *used_categories)],
        "numbers": fit_numbers(
            training, used_numbers, number_places, scaling=scaling, outliers=steps.outliers
        ),
        "values": {
            column.name: frequent(training.category(place), values[column.name], max_categories)
            for column, place in zip(used_categories, category_places, strict=True)
        },
        "refused": [vars(refusal) for refusal in left_out],
    }


def fit_numbers(
    training: Training,
    columns: Sequence[Column],
    places: Sequence[int],
    *,
    scaling: Scaling,
    outliers: bool,
) -> dict[str, Any]:
    """Fit the arguments of ``NormaliseNumbers``, and the ``centres`` that it measures from.

    Args:
        training: the training rows.
        columns: the columns to fit, in their order.
        places: where each stands in the cached numbers.
        scaling: ``standard`` or ``quantile``.
        outliers: whether there are values that count as missing.
    """
    fitted = [
        _fit_number(column, training.number(place), scaling=scaling, outliers=outliers)
        for column, place in zip(columns, places, strict=True)
    ]
    dates = [index for index, column in enumerate(columns) if column.kind == "date"]

    def gathered(name: str) -> NDArray[np.float64]:
        return np.array([fit[name] for fit in fitted], dtype=np.float64)

    centres = gathered("centre")
    phases = (centres[dates, np.newaxis] / np.array(list(DAYS.values()))) % 1.0
    knots = [fit["knots"] for fit in fitted]
    return {
        "centres": torch.from_numpy(centres),
        **{name: torch.from_numpy(gathered(name)).float() for name in ("low", "high")},
        **{name: torch.from_numpy(gathered(name)).float() for name in ("mean", "std")},
        "knots": torch.from_numpy(np.stack(knots)).float() if scaling == "quantile" else None,
        "gaps": [index for index, fit in enumerate(fitted) if fit["gaps"]],
        "dates": dates,
        "phases": torch.from_numpy(phases).float(),
    }


def _fit_number(
    column: Column, values: NDArray[np.float64], *, scaling: Scaling, outliers: bool
) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    low, high = -np.inf, np.inf
    if outliers and column.kind != "boolean":
        low, high = plausible_range(present)
    good = present[(present >= low) & (present <= high)]
    good = good if len(good) else np.zeros(1)  # a column without a cell, which nobody refused
    centre = float(np.median(good))
    filled = np.full(len(values), 0.0)
    filled[: len(good)] = good - centre  # what is missing is the median
    ranks = np.linspace(0, 1, min(MOST_KNOTS, max(2, len(values))))
    return {
        "centre": centre,
        "low": low - centre,
        "high": high - centre,
        "mean": filled.mean(),
        "std": filled.std(),
        "knots": np.quantile(good - centre, ranks) if scaling == "quantile" else None,
        "gaps": len(good) < len(values),
    }


def frequent(codes: NDArray[np.int32], values: Sequence[str], most: int) -> list[str]:
    """List the values that training rows hold, the most frequent ones if they are too many.

    Args:
        codes: ``(rows,)`` of these rows.
        values: in the order of their codes.
        most: how many to list.
    """
    counts = np.bincount(codes, minlength=len(values))
    ranked = sorted(np.flatnonzero(counts).tolist(), key=lambda code: (-counts[code], values[code]))
    return sorted(values[code] for code in ranked[:most])


def code_table(known: Sequence[str], values: Sequence[str]) -> NDArray[np.int64]:
    """Map the codes of a cache, or of a file to predict, to those that the network learnt.

    Args:
        known: the values that training knew.
        values: in the order of their codes; the first is that of a missing cell.

    Returns:
        ``(values,)`` numbers from 1; 0 is any value that training did not know.
    """
    assert values[0] == MISSING
    codes: dict[str | None, int] = {value: number for number, value in enumerate(known, start=1)}
    find = matcher(known)
    return np.array([codes.get(find(value), 0) for value in values], dtype=np.int64)

"""Fitting of a table's preprocessing on the training rows, and the scaling of its numbers."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.table.cleaning import TableCleaning, find_refused
from leyden.data.table.columns import Column, split_columns
from leyden.data.table.screening import Training, plausible_range
from leyden.errors import UserError

Scaling = Literal["standard", "quantile"]

MOST_KNOTS = 1000
"""Largest number of quantiles per column."""


def fit_table(
    training: Training,
    values: Mapping[str, Sequence[str]],
    *,
    declared: Collection[str],
    steps: TableCleaning,
    scaling: Scaling,
    max_categories: int,
) -> dict[str, Any]:
    """Choose the columns that become inputs, and fit their preprocessing.

    Args:
        training: Training rows.
        values: Values of the cached categorical columns, in the order of their codes.
        declared: Names of columns whose kind is declared.
        steps: Cleaning steps that run.
        scaling: ``standard`` or ``quantile``.
        max_categories: Largest number of values per categorical column.

    Returns:
        ``columns``, numbers first; ``numbers``, their statistics; ``values`` of the categorical
        columns; and ``refused``, the columns that are left out.

    Raises:
        UserError: If no column is left.
    """
    refused = find_refused(training, declared=declared, steps=steps)
    names = {column.column for column in refused}
    numbers, categories = split_columns(c for c in training.columns if c.name not in names)
    if not numbers and not categories:
        reasons = "; ".join(f"{column.column}: {column.reason}" for column in refused)
        raise UserError(f"No column is left to learn from. {reasons or 'The table has none'}.")
    return {
        "columns": [vars(column) for column in (*numbers, *categories)],
        "numbers": fit_numbers(training, numbers, scaling=scaling, outliers=steps.outliers),
        "values": {
            column.name: frequent_values(
                training.values(column), values[column.name], max_categories
            )
            for column in categories
        },
        "refused": [vars(column) for column in refused],
    }


def fit_numbers(
    training: Training, columns: Sequence[Column], *, scaling: Scaling, outliers: bool
) -> dict[str, Any]:
    """Fit the arguments of ``NormaliseNumbers``.

    Args:
        training: Training rows.
        columns: Columns to fit, in their order.
        scaling: ``standard`` or ``quantile``.
        outliers: Whether impossible values count as missing.

    Returns:
        The arguments, and ``centres``: the medians, float64 ``(columns,)``, that numbers are
        measured from.
    """
    fitted = [
        _fit_number(column, training.values(column), scaling=scaling, outliers=outliers)
        for column in columns
    ]
    dates = [place for place, column in enumerate(columns) if column.kind == "date"]
    floats = {
        name: torch.tensor([fit[name] for fit in fitted], dtype=torch.float64)
        for name in ("centre", "low", "high", "mean", "std")
    }
    centres = floats.pop("centre")
    phases = (
        centres[dates].unsqueeze(1) / torch.tensor([*DAYS.values()], dtype=torch.float64)
    ) % 1.0
    knots = [fit["knots"] for fit in fitted]
    return {
        **{name: values.float() for name, values in floats.items()},
        "centres": centres,
        "knots": torch.from_numpy(np.stack(knots)).float() if scaling == "quantile" else None,
        "gaps": [place for place, fit in enumerate(fitted) if fit["gaps"]],
        "dates": dates,
        "phases": phases.float(),
    }


def _fit_number(
    column: Column, values: NDArray[np.float64], *, scaling: Scaling, outliers: bool
) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    low, high = -np.inf, np.inf
    if outliers and column.kind != "boolean":
        low, high = plausible_range(present)
    good = present[(present >= low) & (present <= high)]
    good = good if len(good) else np.zeros(1)  # a column without values that no step left out
    centre = float(np.median(good))
    filled = np.full(len(values), 0.0)
    filled[: len(good)] = good - centre  # missing values are the median
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


def frequent_values(codes: NDArray[np.int32], values: Sequence[str], most: int) -> list[str]:
    """Return the values of the training rows, the most frequent ones if there are too many.

    Args:
        codes: Codes ``(rows,)`` of the training rows.
        values: Values in the order of their codes.
        most: Largest number of values.

    Example:
        >>> frequent_values(np.array([1, 1, 2, 3, 3], np.int32), ["", "c", "b", "a"], most=2)
        ['a', 'c']
    """
    counts = np.bincount(codes, minlength=len(values))
    ranked = sorted(np.flatnonzero(counts).tolist(), key=lambda code: (-counts[code], values[code]))
    return sorted(values[code] for code in ranked[:most])


DAYS = {"year": 365.2425, "week": 7.0, "day": 1.0}
"""Periods of a date, in days."""

CALENDAR_FEATURES = 2 * len(DAYS)
"""Features per date: sine and cosine of each period."""

END = 1e-7
"""Smallest distance of a rank from 0 and 1, whose normal scores are infinite."""


class NormaliseNumbers(nn.Module):
    """Impute missing numbers and scale all to float32 features of zero mean and unit variance.

    Values that are missing or outside the plausible range of their column are replaced by the
    median, and a further feature indicates them. Dates are one number each, with the sine and
    cosine of the position in the year, week and day as further features. All arguments are measured
    from the medians.

    Args:
        low: Lowest plausible values ``(columns,)``.
        high: Highest plausible values ``(columns,)``.
        mean: Means ``(columns,)`` of the filled columns.
        std: Standard deviations ``(columns,)`` of the filled columns; a constant column is only
            centred.
        knots: Quantiles ``(columns, quantiles)``, by which columns are mapped to a normal
            distribution; ``None`` to standardise them.
        gaps: Indices of the columns with an indicator of missing values.
        dates: Indices of the columns that are dates.
        phases: Position of the medians in each period ``(dates, periods)``, in [0, 1).
    """

    def __init__(
        self,
        *,
        low: Tensor,
        high: Tensor,
        mean: Tensor,
        std: Tensor,
        knots: Tensor | None,
        gaps: Sequence[int],
        dates: Sequence[int],
        phases: Tensor,
    ) -> None:
        super().__init__()
        self.low = nn.Buffer(low)
        self.high = nn.Buffer(high)
        self.mean = nn.Buffer(mean)
        self.scale = nn.Buffer(1 / torch.where(std > 0, std, torch.ones_like(std)))
        self.knots = None if knots is None else nn.Buffer(knots)
        self.gaps = nn.Buffer(torch.tensor(gaps, dtype=torch.int64))
        self.dates = nn.Buffer(torch.tensor(dates, dtype=torch.int64))
        self.phases = nn.Buffer(phases)
        self.periods = nn.Buffer(torch.tensor(list(DAYS.values())))

    def forward(self, numbers: Tensor) -> Tensor:
        """Return the features.

        Args:
            numbers: Numbers ``(batch, columns)`` measured from the medians; NaN if missing.

        Returns:
            Features ``(batch, columns + gaps + 2 * periods * dates)``.
        """
        missing = numbers.isnan() | (numbers < self.low) | (numbers > self.high)
        filled = numbers.masked_fill(missing, 0.0)  # the median itself
        indicators = missing[:, self.gaps].to(filled.dtype)
        return torch.cat([self._scale(filled), indicators, self._calendar(filled)], dim=1)

    def _scale(self, numbers: Tensor) -> Tensor:
        if self.knots is None:
            return (numbers - self.mean) * self.scale
        return normal_scores(numbers, self.knots)

    def _calendar(self, numbers: Tensor) -> Tensor:
        """Return sine and cosine of each date in each period, ``(batch, 2 * periods * dates)``."""
        days = numbers[:, self.dates].unsqueeze(2)
        turns = (self.phases + days / self.periods).flatten(1)
        angles = 2 * math.pi * turns
        return torch.cat([angles.sin(), angles.cos()], dim=1)


def normal_scores(numbers: Tensor, knots: Tensor) -> Tensor:
    """Map each column to a normal distribution by its ranks.

    Args:
        numbers: Numbers ``(batch, columns)``.
        knots: Quantiles ``(columns, quantiles)`` of the columns, evenly spaced in rank.

    Returns:
        Scores ``(batch, columns)``; a value that many rows share gets the middle of its ranks.
    """
    columns = numbers.T.contiguous()
    last = knots.shape[1] - 1
    ranks = [_rank(columns, knots, right=right) for right in (False, True)]
    share = ((ranks[0] + ranks[1]) / (2 * last)).clamp(END, 1 - END)
    scores: Tensor = torch.special.ndtri(share)
    return scores.T.contiguous()


def _rank(columns: Tensor, knots: Tensor, *, right: bool) -> Tensor:
    """Interpolate the ranks ``(columns, batch)`` of values among the knots."""
    last = knots.shape[1] - 1
    above = torch.searchsorted(knots, columns, right=right).clamp(1, last)
    lower, upper = knots.gather(1, above - 1), knots.gather(1, above)
    width = (upper - lower).clamp_min(torch.finfo(knots.dtype).tiny)
    return above - 1 + ((columns - lower) / width).clamp(0, 1)

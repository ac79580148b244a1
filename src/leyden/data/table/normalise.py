"""Fitting of the preprocessing of a table, and the normalisation of its numbers."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.table.cleaning import TableCleaning, refused
from leyden.data.table.columns import Column
from leyden.data.table.screening import Training, plausible_range
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


DAYS = {"year": 365.2425, "week": 7.0, "day": 1.0}
"""The circles that a date runs through."""

CALENDAR_FEATURES = 2 * len(DAYS)

END = 1e-7
"""Nearest to 0 or 1 that a share of rows comes, for there the normal distribution is infinite."""


class NormaliseNumbers(nn.Module):
    """Numbers to float32 features with zero mean and unit variance, without gaps.

    What is missing or outside its column's plausible range becomes the median, and a feature of
    its own tells so. Dates are kept as a number and also give sine and cosine of year, week and
    day.

    Args:
        low: ``(columns,)`` lowest plausible value, from the median.
        high: ``(columns,)`` highest plausible value, from the median.
        mean: ``(columns,)`` of the filled columns, from the median.
        std: ``(columns,)`` of the filled columns; one that never changes is only centred.
        knots: ``(columns, quantiles)`` from the median, to map to a normal distribution by ranks
            instead; ``None`` to standardise.
        gaps: columns that are told to be missing where they are.
        dates: columns that are dates.
        phases: ``(dates, circles)`` where the median stands in each circle, in [0, 1).
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
        self.low: Tensor
        self.high: Tensor
        self.mean: Tensor
        self.scale: Tensor
        self.knots: Tensor | None
        self.gaps: Tensor
        self.dates: Tensor
        self.phases: Tensor
        self.periods: Tensor
        for name, values in (
            ("low", low),
            ("high", high),
            ("mean", mean),
            ("scale", 1 / torch.where(std > 0, std, torch.ones_like(std))),
            ("knots", knots),
            ("gaps", torch.tensor(gaps, dtype=torch.int64)),
            ("dates", torch.tensor(dates, dtype=torch.int64)),
            ("phases", phases),
            ("periods", torch.tensor(list(DAYS.values()))),
        ):
            self.register_buffer(name, values)

    def forward(self, numbers: Tensor) -> Tensor:
        """Map ``(batch, columns)``, each from its median, NaN where missing, to features."""
        missing = numbers.isnan() | (numbers < self.low) | (numbers > self.high)
        filled = numbers.masked_fill(missing, 0.0)  # the median itself
        indicators = missing[:, self.gaps].to(filled.dtype)
        return torch.cat([self._scaled(filled), indicators, self._calendar(filled)], dim=1)

    def _scaled(self, numbers: Tensor) -> Tensor:
        if self.knots is None:
            return (numbers - self.mean) * self.scale
        return normal_scores(numbers, self.knots)

    def _calendar(self, numbers: Tensor) -> Tensor:
        """Give sine and cosine of each date's place in each circle."""
        days = numbers[:, self.dates].unsqueeze(2)
        turns = (self.phases + days / self.periods).flatten(1)
        angles = 2 * math.pi * turns
        return torch.cat([angles.sin(), angles.cos()], dim=1)


def normal_scores(numbers: Tensor, knots: Tensor) -> Tensor:
    """Map each column by its ranks to a normal distribution.

    Args:
        numbers: ``(batch, columns)``.
        knots: ``(columns, quantiles)``, rising, evenly spaced in rank.

    Returns:
        ``(batch, columns)``; a value that many rows share gets the middle of its ranks.
    """
    columns = numbers.T.contiguous()
    last = knots.shape[1] - 1
    ranks = [_rank(columns, knots, right=right) for right in (False, True)]
    share = ((ranks[0] + ranks[1]) / (2 * last)).clamp(END, 1 - END)
    scores: Tensor = torch.special.ndtri(share)
    return scores.T.contiguous()


def _rank(columns: Tensor, knots: Tensor, *, right: bool) -> Tensor:
    """Interpolate the rank of values ``(columns, batch)`` among the knots."""
    last = knots.shape[1] - 1
    above = torch.searchsorted(knots, columns, right=right).clamp(1, last)
    lower, upper = knots.gather(1, above - 1), knots.gather(1, above)
    width = (upper - lower).clamp_min(torch.finfo(knots.dtype).tiny)
    return above - 1 + ((columns - lower) / width).clamp(0, 1)

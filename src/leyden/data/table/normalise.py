"""Numbers of a table as a network gets them: complete, scaled, and dates as phases."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

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

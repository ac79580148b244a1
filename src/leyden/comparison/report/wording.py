"""Numbers and configs as words, for reports."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from leyden.comparison.report.pictures import number
from leyden.comparison.statistics import Estimate
from leyden.comparison.table import as_word


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    >>> duration(2.34), duration(150), duration(5400)
    ('2.3 s', '2.5 min', '1.5 h')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def size(count: float) -> str:
    """Return a number of bytes in MiB or GiB.

    >>> size(439 * 2**20), size(3 * 2**30)
    ('439 MiB', '3.0 GiB')
    """
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"


def interval(estimate: Estimate) -> str:
    """Return the ends of a 95 % interval; empty if there is none."""
    if math.isnan(estimate.low):
        return ""
    return f"{number(estimate.low)} to {number(estimate.high)}"


def measured(estimate: Estimate) -> str:
    """Return a mean with its interval, and what it was measured over."""
    ends = interval(estimate)
    runs = plural(estimate.count, "run")
    if not ends:
        return f"{number(estimate.mean)} ({runs})"
    return f"{number(estimate.mean)} (95 % interval {ends}, {runs})"


def p_value(value: float) -> str:
    """Return a p-value.

    >>> p_value(0.04321), p_value(1e-9), p_value(float("nan"))
    ('0.043', '< 0.001', '')
    """
    if math.isnan(value):
        return ""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def equals(p: float) -> str:
    """Return a p-value with its relation, as it follows the letter p.

    >>> equals(0.04321), equals(1e-9)
    ('= 0.043', '< 0.001')
    """
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"


def plural(count: int, noun: str) -> str:
    """Return a count with its noun.

    >>> plural(1, "run"), plural(2, "run")
    ('1 run', '2 runs')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def words(overrides: Mapping[str, Any]) -> str:
    """Return overrides as words of a command."""
    return " ".join(f"{key}={as_word(value)}" for key, value in overrides.items())


def listed(items: Iterable[str]) -> str:
    """Join items as in a sentence.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last

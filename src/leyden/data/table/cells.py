"""Cells of a table: from strings to numbers, truths and dates, column by column.

Each function takes the distinct strings of a column, trimmed, so that a long column costs little.
"""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

TRUE = ("true", "yes", "t", "y", "1")
FALSE = ("false", "no", "f", "n", "0")

WORDED = (*TRUE[:-1], *FALSE[:-1])
"""Truths that are no numbers: a column of 0 and 1 is numeric as well."""

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"

PADDED = r"^[+-]?0\d"
"""A number with zeros before it, such as a post code: a name rather than an amount."""

YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)
"""Where days are counted from."""


def distinct(column: "pa.StringArray", missing: Sequence[str]) -> tuple[Any, NDArray[np.int64]]:
    """Find the distinct strings of a column, trimmed, and where each stands.

    Args:
        column: ``(rows,)`` strings.
        missing: what stands for a missing cell beside null and nothing.

    Returns:
        ``(values,)`` strings, and ``(rows,)`` the number of each row's, -1 for a missing cell.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(column)
    absent = pc.is_in(trimmed, value_set=pa.array(["", *missing], pa.string()))
    encoded = pc.if_else(absent, None, trimmed).dictionary_encode()
    places = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
    return encoded.dictionary, places


def numbers(values: "pa.StringArray") -> NDArray[np.float64]:
    """Parse numbers ``(values,)``; NaN where a string is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    are = pc.match_substring_regex(values, NUMBER)
    unsigned = pc.utf8_ltrim(pc.if_else(are, values, None), "+")
    return _floats(pc.cast(unsigned, pa.float64()))


def padded(values: "pa.StringArray") -> NDArray[np.bool_]:
    """Tell which strings ``(values,)`` are numbers with zeros before them."""
    import pyarrow.compute as pc

    found: NDArray[np.bool_] = pc.match_substring_regex(values, PADDED).to_numpy(
        zero_copy_only=False
    )
    return found


def truths(values: "pa.StringArray", words: Sequence[str] = (*TRUE, *FALSE)) -> NDArray[np.float64]:
    """Parse truths ``(values,)`` to 1 and 0; NaN where a string is none of the words."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lower = pc.utf8_lower(values)
    true = pc.is_in(lower, value_set=pa.array([word for word in words if word in TRUE]))
    false = pc.is_in(lower, value_set=pa.array([word for word in words if word in FALSE]))
    known = pc.or_(true, false)
    return _floats(pc.if_else(known, true, None).cast(pa.float64()))


def dates(values: "pa.StringArray", form: str | None = None) -> NDArray[np.float64]:
    """Parse dates ``(values,)`` to days since 2000, in UTC where they have a zone.

    Args:
        values: strings.
        form: as of ``strptime``; ISO 8601 by default, with or without a time and a zone.

    Returns:
        Days and their fractions; NaN where a string is no such date.
    """
    return np.array([_day(text, form) for text in values.to_pylist()], dtype=np.float64)


def _day(text: str, form: str | None) -> float:
    try:
        date = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
    except ValueError:
        return math.nan
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return (aware - YEAR_2000) / timedelta(days=1)


def _floats(values: Any) -> NDArray[np.float64]:
    """Convert an Arrow array; null is NaN."""
    floats: NDArray[np.float64] = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return floats

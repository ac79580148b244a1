"""Parsing of cells as numbers, truth values and dates, one column at a time.

Each distinct string of a column is parsed once, so that a long column takes little time.
"""

import json
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leyden.data.identity import Keys, hash_names, mix_keys
from leyden.data.sources.tables import Chunk
from leyden.data.values import FALSE, NUMBER, PADDED, TRUE, canonical
from leyden.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

MISSING_CELLS = (
    "NA", "N/A", "n/a", "#N/A", "N.A.", "NaN", "nan", "NULL", "null", "None", "<NA>", "NaT", "?",
)  # fmt: skip
"""Words that mean a missing cell."""

NUMBER_OR_INFINITY = rf"^{NUMBER.pattern}$|^[+-]?(?i:inf|infinity)$"

SPACES = "[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]"

UNIT = r"[^\d\s.,'+-]{1,5}"
"""Unit before or after a number, such as % or EUR."""

GROUPED = r"^\s*[+-]?[1-9]\d{0,2}(\.\d{3})+\s*$"
"""Number in which the point may separate thousands, such as 1.500."""

YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)
"""Time from which days are counted."""

MANY = 0.01
"""Share of rows with a missing cell because of one word, above which a warning is logged."""

EXACT = 2**53
"""Largest number up to which float64 represents every integer."""

MISSING_KEY = np.uint64(0x9E3779B97F4A7C15)
"""Key of a missing cell."""


@dataclass(frozen=True, kw_only=True)
class CellFormat:
    """Format of the cells of a table.

    Attributes:
        missing: Words that mean a missing cell, besides an empty one; numbers in any spelling.
        decimal: Decimal separator of numbers.
        thousands: Separator between thousands; ``None`` for none. A space matches any space.

    Raises:
        UserError: If the separators are not two different characters.
    """

    missing: Sequence[str]
    decimal: str = "."
    thousands: str | None = None

    def __post_init__(self) -> None:
        for option, separator in (("decimal", self.decimal), ("thousands", self.thousands)):
            if separator is not None and (len(separator) != 1 or separator.isalnum()):
                raise UserError(
                    f"data.{option}={separator!r} is not a separator of digits. Expected one "
                    "character, such as '.' or ','."
                )
        if self.decimal == self.thousands:
            raise UserError(
                f"data.decimal and data.thousands are both {self.decimal!r}. Expected two "
                "different characters."
            )

    def respell(self, strings: "pa.StringArray") -> "pa.StringArray":
        """Return strings ``(values,)`` with the numbers of this format spelled as in Python."""
        import pyarrow.compute as pc

        if self.decimal == "." and self.thousands is None:
            return strings
        group = SPACES if self.thousands == " " else re.escape(self.thousands or "")
        whole = rf"[1-9]\d{{0,2}}(?:{group}\d{{2,3}})*{group}\d{{3}}|\d+" if group else r"\d+"
        point = re.escape(self.decimal)
        number = rf"(?:(?:{whole})(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?"
        pattern = rf"^[+-]?(?:{UNIT}\s?)?[+-]?{number}(?:\s?{UNIT})?$"
        joined = pc.replace_substring_regex(strings, group, "") if group else strings
        plain = pc.replace_substring(joined, self.decimal, ".")
        return pc.if_else(pc.match_substring_regex(strings, pattern), plain, strings)

    def find_grouped(self, strings: "pa.StringArray") -> str:
        """Return a cell such as 1.500 if points seem to be undeclared separators of thousands.

        Args:
            strings: Cells ``(rows,)`` of a column.

        Returns:
            The first such cell; empty if some cell has a point that cannot separate thousands.
        """
        import pyarrow.compute as pc

        if "." in (self.decimal, self.thousands):
            return ""
        pointed = strings.drop_null()
        pointed = pointed.filter(pc.match_substring(pointed, "."))
        found = pointed.filter(pc.match_substring_regex(pointed, GROUPED))
        return found[0].as_py().strip() if 0 < len(found) == len(pointed) else ""


class Distinct(NamedTuple):
    """The distinct strings of a column, and the string of each row.

    Attributes:
        values: Strings ``(values,)``, trimmed and in Unicode's normal form C.
        places: Index in ``values`` of each row's string, int64 ``(rows,)``; -1 for a missing cell.
    """

    values: "pa.StringArray"
    places: NDArray[np.int64]

    def spread(self, of_values: NDArray[Any], missing: Any) -> NDArray[Any]:
        """Map values of the strings to the rows.

        Args:
            of_values: Value of each string ``(values,)``.
            missing: Value of a missing cell.

        Returns:
            Value of each row ``(rows,)``.
        """
        return np.append(of_values, np.array([missing], dtype=of_values.dtype))[self.places]


class Cells:
    """The distinct strings of each column of a chunk, which are found once.

    Args:
        chunk: Rows of a table.
        written: Format of the cells; columns that the file stores as numbers have Python's.
    """

    def __init__(self, chunk: Chunk, written: CellFormat) -> None:
        self._columns = chunk.columns
        self._numbers = chunk.numbers
        self._written = written
        self._known = replace(written, decimal=".", thousands=None)
        self._distinct: dict[str, Distinct] = {}

    def __getitem__(self, name: str) -> Distinct:
        if name not in self._distinct:
            written = self._known if name in self._numbers else self._written
            self._distinct[name] = find_distinct(self._columns[name], written)
        return self._distinct[name]

    def text(self, name: str, row: int) -> str:
        """Return one cell as it is written; empty if it is null."""
        return (self._columns[name][row].as_py() or "").strip()


def missing_warnings(
    lost: Mapping[tuple[str, str], int], rows: int, missing: Sequence[str]
) -> Iterator[str]:
    """Yield a warning for each word that counts as missing and so causes many rows to be dropped.

    Args:
        lost: Number of dropped rows by column and word.
        rows: Total number of rows.
        missing: All words that mean a missing cell.
    """
    for (name, word), count in lost.items():
        if count > MANY * rows:
            yield (
                f"{count} of {rows} rows are left out because {word!r} in {name} counts as "
                "missing. To treat it as a value: "
                + missing_override(other for other in missing if other != word)
            )


def missing_override(words: Iterable[str]) -> str:
    """Return the override that makes words mean a missing cell, quoted for a shell.

    Example:
        >>> print(missing_override(["NA", "?"]))
        'data.missing_cells=["NA", "?"]'
    """
    return shlex.quote(f"data.missing_cells={json.dumps([*words], ensure_ascii=False)}")


def find_distinct(column: "pa.StringArray", written: CellFormat) -> Distinct:
    """Return the distinct strings of a column ``(rows,)``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    null = pa.scalar(None, pa.string())  # without a type pyarrow searches for dateutil each time
    trimmed = pc.utf8_trim_whitespace(pc.utf8_normalize(column, "NFC"))
    absent = pc.is_in(trimmed, value_set=pa.array(["", *written.missing], pa.string()))
    plain = written.respell(pc.if_else(absent, null, trimmed))
    marks = _parse_marks(tuple(written.missing))
    if not np.isnan(marks).all():  # -999 may also be written as -999.0
        plain = pc.if_else(pa.array(np.isin(parse_numbers(plain), marks)), null, plain)
    encoded = plain.dictionary_encode()
    return Distinct(encoded.dictionary, encoded.indices.fill_null(-1).to_numpy().astype(np.int64))


def parse_numbers(values: "pa.StringArray") -> NDArray[np.float64]:
    """Parse strings as numbers.

    Args:
        values: Strings ``(values,)``. In parentheses, as in accounts, numbers are negative.

    Returns:
        Numbers ``(values,)``; NaN for other strings.

    Example:
        >>> import pyarrow
        >>> parse_numbers(pyarrow.array(["1e3", "(5)", "x"])).tolist()
        [1000.0, -5.0, nan]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    signed = pc.replace_substring(values, "\N{MINUS SIGN}", "-")
    signed = pc.replace_substring_regex(signed, r"^\(([\d.]+)\)$", r"-\1")
    are = pc.match_substring_regex(signed, NUMBER_OR_INFINITY)
    unsigned = pc.utf8_ltrim(pc.if_else(are, signed, pa.scalar(None, pa.string())), "+")
    return _floats(pc.cast(unsigned, pa.float64()))


@lru_cache
def _parse_marks(missing: tuple[str, ...]) -> NDArray[np.float64]:
    """Parse the words that mean a missing cell as numbers ``(words,)``, as ``parse_numbers``."""
    import pyarrow as pa

    return parse_numbers(pa.array(missing, pa.string()))


def have_leading_zeros(values: "pa.StringArray") -> NDArray[np.bool_]:
    """Return a mask ``(values,)`` of the strings that begin like numbers with leading zeros."""
    import pyarrow.compute as pc

    are = pc.match_substring_regex(values, f"^{PADDED.pattern}")
    return np.asarray(are.to_numpy(zero_copy_only=False))


def parse_truths(values: "pa.StringArray") -> NDArray[np.float64]:
    """Parse strings as truth values.

    Args:
        values: Strings ``(values,)``.

    Returns:
        1 for true and 0 for false ``(values,)``; NaN for other strings.

    Example:
        >>> import pyarrow
        >>> parse_truths(pyarrow.array(["Yes", "0.0", "x"])).tolist()
        [1.0, 0.0, nan]
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    lower = pc.utf8_lower(values)
    true = pc.is_in(lower, value_set=pa.array(sorted(TRUE), pa.string()))
    known = pc.or_(true, pc.is_in(lower, value_set=pa.array(sorted(FALSE), pa.string())))
    worded = _floats(pc.if_else(known, true, pa.scalar(None, pa.bool_())).cast(pa.float64()))
    parsed = parse_numbers(values)
    return np.where(np.isin(parsed, (0, 1)) & ~have_leading_zeros(values), parsed, worded)


def parse_dates(values: "pa.StringArray", form: str | None = None) -> NDArray[np.float64]:
    """Parse strings as dates, with or without a time.

    Args:
        values: Strings ``(values,)``.
        form: Format for ``strptime``; ``None`` for ISO 8601. Times without a zone are in UTC.

    Returns:
        Days since 2000 with fractions ``(values,)``; NaN for other strings.

    Example:
        >>> import pyarrow
        >>> parse_dates(pyarrow.array(["2000-01-02T12:00", "x"])).tolist()
        [1.5, nan]
    """
    return np.array([_day(text, form) for text in values.to_pylist()], dtype=np.float64)


def hash_rows(cells: Cells, names: Sequence[str], rows: int) -> Keys:
    """Hash rows by their cells, which are equal if they are equal as numbers or as text.

    Args:
        cells: Columns of the rows.
        names: Columns to hash; their order makes no difference.
        rows: Number of rows.

    Returns:
        Keys, uint64 ``(rows,)``, each of which depends on its own row alone.
    """
    keys: Keys = np.zeros(rows, np.uint64)
    for name in sorted(names):
        column = cells[name]
        keys = mix_keys(keys, column.spread(_hashes(column.values), MISSING_KEY))
    return keys


def _hashes(values: "pa.StringArray") -> Keys:
    parsed = parse_numbers(values) + 0.0  # -0.0 becomes 0.0, which has other bits
    keys: Keys = parsed.view(np.uint64)
    words = np.flatnonzero(np.isnan(parsed) | (np.abs(parsed) > EXACT))
    keys[words] = hash_names(canonical(text) for text in values.take(words).to_pylist())
    return keys


def _day(text: str, form: str | None) -> float:
    try:
        date = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
    except ValueError:
        return math.nan
    aware = date if date.tzinfo else date.replace(tzinfo=UTC)
    return (aware - YEAR_2000) / timedelta(days=1)


def _floats(values: Any) -> NDArray[np.float64]:
    """Convert an Arrow array to a writable one; null becomes NaN."""
    floats: NDArray[np.float64] = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return floats

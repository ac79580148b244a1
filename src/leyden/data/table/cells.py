"""Cells of a table: from strings to numbers, truth values and dates, column by column.

The functions take the distinct strings of a column, so that a long column costs little.
"""

import json
import math
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from leyden.data.identity import Keys, hash_names, mix_keys
from leyden.data.sources.tables import Chunk
from leyden.data.values import FALSE, PADDED, TRUE, canonical
from leyden.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

MISSING_CELLS = (
    "NA", "N/A", "n/a", "#N/A", "N.A.", "NaN", "nan", "NULL", "null", "None", "<NA>", "NaT", "?",
)  # fmt: skip
"""Words that mean a missing cell."""

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf|infinity)$"

SPACES = "[ \N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}]"

UNIT = r"[^\d\s.,'+-]{1,5}"
"""What may be written beside a number, such as % or EUR."""

GROUPED = r"^\s*[+-]?[1-9]\d{0,2}(\.\d{3})+\s*$"
"""A number such as 1.500, in which the point may separate thousands."""

YEAR_2000 = datetime(2000, 1, 1, tzinfo=UTC)
"""Where days are counted from."""

MANY = 0.01
"""Share of the rows that may be lost to one word without a warning."""

EXACT = 2**53
"""The largest number up to which float64 holds every whole one."""

MISSING_KEY = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, kw_only=True)
class CellFormat:
    """How the cells of a table are written.

    Attributes:
        missing: Words that mean a missing cell, besides an empty one; numbers in any spelling.
        decimal: Decimal separator of numbers.
        thousands: Separator of groups of digits, if there is one; a space matches any space.

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

    def plain(self, strings: "pa.StringArray") -> "pa.StringArray":
        """Respell the numbers of this format as Python does; other strings stay as they are."""
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

    def grouped(self, strings: "pa.StringArray") -> str:
        """Return a cell such as 1.500, if points are not given and seem to separate thousands."""
        import pyarrow.compute as pc

        if "." in (self.decimal, self.thousands):
            return ""
        pointed = strings.drop_null()
        pointed = pointed.filter(pc.match_substring(pointed, "."))
        found = pointed.filter(pc.match_substring_regex(pointed, GROUPED))
        return found[0].as_py().strip() if 0 < len(found) == len(pointed) else ""


class Distinct(NamedTuple):
    """The distinct strings of a column, and where they are.

    Attributes:
        values: ``(values,)`` strings, trimmed and in Unicode's normal form C.
        places: ``(rows,)`` int64 place of each row's string, -1 for a missing cell.
    """

    values: "pa.StringArray"
    places: NDArray[np.int64]

    def spread(self, of_values: NDArray[Any], missing: Any) -> NDArray[Any]:
        """Return for each row ``(rows,)`` what was found for its string."""
        return np.append(of_values, np.array([missing], dtype=of_values.dtype))[self.places]


class Cells(Mapping[str, Distinct]):
    """The columns of a chunk, whose distinct strings are found once.

    Args:
        chunk: The rows.
        written: Format of the cells, but of numbers that the table's own format knows.
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
            self._distinct[name] = distinct(self._columns[name], written)
        return self._distinct[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def text(self, name: str, row: int) -> str:
        """Return one cell as it is written; a cell that does not exist is empty."""
        return (self._columns[name][row].as_py() or "").strip()


def missing_warnings(
    lost: Mapping[tuple[str, str], int], rows: int, missing: Sequence[str]
) -> Iterator[str]:
    """Yield a warning for each word that counts as missing and thereby costs many rows.

    Args:
        lost: Number of rows by column and word.
        rows: Number of rows in all.
        missing: All words that count as missing.
    """
    for (name, word), count in lost.items():
        if count > MANY * rows:
            yield (
                f"{count} of {rows} rows are left out because {word!r} in {name} counts as "
                "missing. To take it for a value: "
                + missing_override(other for other in missing if other != word)
            )


def missing_override(words: Iterable[str]) -> str:
    """Return the argument of a command line that makes words mean a missing cell, for a shell."""
    return shlex.quote(f"data.missing_cells={json.dumps([*words], ensure_ascii=False)}")


def distinct(column: "pa.StringArray", written: CellFormat) -> Distinct:
    """Find the distinct strings of a column ``(rows,)``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(pc.utf8_normalize(column, "NFC"))
    absent = pc.is_in(trimmed, value_set=pa.array(["", *written.missing], pa.string()))
    plain = written.plain(pc.if_else(absent, None, trimmed))
    marks = numbers(pa.array(written.missing, pa.string()))
    if not np.isnan(marks).all():  # -999 is also written as -999.0
        plain = pc.if_else(pa.array(np.isin(numbers(plain), marks)), None, plain)
    encoded = plain.dictionary_encode()
    return Distinct(encoded.dictionary, encoded.indices.fill_null(-1).to_numpy().astype(np.int64))


def numbers(values: "pa.StringArray") -> NDArray[np.float64]:
    """Parse numbers ``(values,)``, (5) as -5 as in accounts; NaN for other strings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    signed = pc.replace_substring(values, "\N{MINUS SIGN}", "-")
    signed = pc.replace_substring_regex(signed, r"^\(([\d.]+)\)$", r"-\1")
    are = pc.match_substring_regex(signed, NUMBER)
    unsigned = pc.utf8_ltrim(pc.if_else(are, signed, None), "+")
    return _floats(pc.cast(unsigned, pa.float64()))


def padded(values: "pa.StringArray") -> NDArray[np.bool_]:
    """Return which strings ``(values,)`` are numbers with leading zeros."""
    import pyarrow.compute as pc

    are = pc.match_substring_regex(values, f"^{PADDED.pattern}")
    return np.asarray(are.to_numpy(zero_copy_only=False))


def truths(values: "pa.StringArray") -> NDArray[np.float64]:
    """Parse truth values ``(values,)``, 1 and 0 in any spelling too; NaN for other strings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lower = pc.utf8_lower(values)
    true = pc.is_in(lower, value_set=pa.array(sorted(TRUE)))
    known = pc.or_(true, pc.is_in(lower, value_set=pa.array(sorted(FALSE))))
    worded = _floats(pc.if_else(known, true, None).cast(pa.float64()))
    parsed = numbers(values)
    return np.where(np.isin(parsed, (0, 1)) & ~padded(values), parsed, worded)


def dates(values: "pa.StringArray", form: str | None = None) -> NDArray[np.float64]:
    """Parse dates ``(values,)`` to days since 2000, in UTC if they have a zone.

    Args:
        values: Strings.
        form: Format for ``strptime``; ISO 8601 by default, with or without a time and a zone.

    Returns:
        Days and their fractions; NaN for a string that is not such a date.
    """
    return np.array([_day(text, form) for text in values.to_pylist()], dtype=np.float64)


def row_keys(columns: Cells, names: Sequence[str], rows: int) -> Keys:
    """Hash whole rows ``(rows,)``: cells that are equal as numbers or as text count as equal.

    A key depends on the cells of its row alone, so that other rows do not change it, nor does the
    order of the columns.
    """
    keys: Keys = np.zeros(rows, np.uint64)
    for name in sorted(names):
        column = columns[name]
        keys = mix_keys(keys, column.spread(_hashes(column.values), MISSING_KEY))
    return keys


def _hashes(values: "pa.StringArray") -> Keys:
    parsed = numbers(values) + 0.0  # -0.0 becomes 0.0, which has other bits
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
    """Convert an Arrow array; null is NaN."""
    floats: NDArray[np.float64] = values.to_numpy(zero_copy_only=False).astype(np.float64)
    return floats

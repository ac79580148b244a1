"""Escaping text from files and file names for terminals and spreadsheets."""

import re
from typing import Any

CONTROLS = re.compile(r"[\0-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters except newlines and tabs, line separators, and characters that reorder the
text around them when it is displayed.
"""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""First characters of cells that spreadsheets evaluate; the last four are full-width."""


def printable(text: str) -> str:
    r"""Escape control characters, which a terminal would interpret, except newlines and tabs.

    >>> printable("a\x1b[2J.png")
    'a\\x1b[2J.png'
    """
    return CONTROLS.sub(_escaped, text)


def cell(text: str) -> str:
    """Escape a text as a cell of CSV that a spreadsheet does not evaluate.

    >>> cell("=1+1"), cell("-1"), cell("cat")
    ("'=1+1", '-1', 'cat')
    """
    mark = "'" if text.startswith(FORMULA) and not _is_number(text) else ""
    return mark + printable(text)


def file_cell(name: str) -> str:
    """Escape a path as a cell of CSV, so that it remains a valid path.

    >>> file_cell("=1+1.png"), file_cell("a.png")
    ('./=1+1.png', 'a.png')
    """
    mark = "./" if name.startswith(FORMULA) else ""
    return mark + printable(name).replace("\n", "\\n")


def shorten_float32(value: float) -> float:
    """Round a float32 value to the fewest digits that identify it; keep other values unchanged.

    >>> shorten_float32(0.5909090638160706), shorten_float32(1700000283.25)
    (0.59090906, 1700000283.25)
    """
    import numpy as np  # slow to import, and already imported when a network has run

    with np.errstate(over="ignore"):
        single = np.float32(value)
    return float(str(single)) if float(single) == value else value


def predicted_cell(column: str, value: Any) -> Any:
    """Return a value of a column of predictions as a cell of CSV.

    >>> predicted_cell("probability", 0.5909090638160706), predicted_cell("source", "=1+1.png")
    (0.59090906, './=1+1.png')
    """
    if isinstance(value, float) and column.startswith("probability"):
        return shorten_float32(value)
    if isinstance(value, str):
        return file_cell(value) if column in ("file", "source") else cell(value)
    return value


def _escaped(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode("ascii")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

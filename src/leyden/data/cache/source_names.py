"""Display names of rows, kept as the lines of a memory-mapped file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.array_files import map_array

ENDS = "source_ends"
"""Name of the column of the bytes at which the lines of the file end."""


class SourceNames:
    """Display names of rows by row number.

    Args:
        file: UTF-8 file with one name per line; a name may contain line ends.
        ends: Offsets ``(rows,)`` (int64) in bytes at which the lines end.
    """

    def __init__(self, file: Path, ends: NDArray[np.int64]) -> None:
        self._text = map_array(file, "u1", [file.stat().st_size])
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> str:
        start = self._ends[row - 1] if row else 0
        line = self._text[start : self._ends[row]].tobytes()
        return line.decode(errors="surrogateescape").removesuffix("\n")


def append_names(file: Path, names: Sequence[str]) -> NDArray[np.int64]:
    """Append names to a file, and return the offsets ``(names,)`` (int64) at which they end."""
    # Names of files need not be Unicode.
    lines = [f"{name}\n".encode(errors="surrogateescape") for name in names]
    with file.open("ab") as stream:
        start = stream.tell()
        stream.write(b"".join(lines))
    return start + np.cumsum([len(line) for line in lines], dtype=np.int64)

"""Where rows came from: a line each in a file, of which one at a time is read."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leyden.data.cache.array_files import mapped

ENDS = "source_ends"
"""Name of the array ``(rows,)`` that tells at which byte of the file each line ends."""


class SourceNames:
    """The names of rows, by row number.

    Args:
        file: UTF-8, one name a line; a name may itself hold line ends.
        ends: ``(rows,)`` int64 end of each line in bytes.
    """

    def __init__(self, file: Path, ends: NDArray[np.int64]) -> None:
        self._text = mapped(file, "u1", [file.stat().st_size])
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, row: int) -> str:
        start = self._ends[row - 1] if row else 0
        line = self._text[start : self._ends[row]].tobytes()
        return line.decode(errors="surrogateescape").removesuffix("\n")


def append_names(file: Path, names: Sequence[str]) -> NDArray[np.int64]:
    """Write the names of more rows, and give the end of each line in bytes."""
    # Names of files need not be Unicode.
    lines = [f"{name}\n".encode(errors="surrogateescape") for name in names]
    with file.open("ab") as stream:
        start = stream.tell()
        stream.write(b"".join(lines))
    return start + np.cumsum([len(line) for line in lines], dtype=np.int64)

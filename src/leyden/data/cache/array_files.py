"""Arrays that are appended to files chunk by chunk, and memory-mapped afterwards."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.rows import Ragged

ROWS_AT_ONCE = 1 << 16
"""Number of rows that are processed together, to limit memory."""

SHAPES = "shapes.json"
"""Name of the file of the arrays' dtypes and shapes."""


class ArrayFiles:
    """Writer of arrays that keeps no rows in memory; ``read_arrays`` reads them after ``close``.

    Args:
        folder: Folder of one file per array; created if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._shapes: dict[str, tuple[str, list[int]]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._shapes

    def map_arrays(self) -> dict[str, NDArray[Any]]:
        """Memory-map the arrays written so far by name; a ragged one as its values and offsets."""
        return {name: map_array(self._file(name), *shape) for name, shape in self._shapes.items()}

    def append(self, name: str, rows: NDArray[Any] | Ragged) -> None:
        """Append rows to an array.

        Args:
            name: Name of the array.
            rows: Array ``(rows, ...)`` or ragged rows, of the same dtype and row shape each time.
        """
        if isinstance(rows, Ragged):
            self._append_ragged(name, rows)
        else:
            self._append(name, rows)

    def rewrite(self, name: str, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        """Replace the values of an array in place.

        Args:
            name: Name of the array.
            change: Function that returns the new values of a chunk ``(rows, ...)``, of the same
                shape and dtype.
        """
        dtype, shape = self._shapes[name]
        array = np.memmap(self._file(name), mode="r+", dtype=dtype, shape=tuple(shape))
        for start in range(0, len(array), ROWS_AT_ONCE):
            part = array[start : start + ROWS_AT_ONCE]
            part[:] = change(part)

    def close(self) -> None:
        """Write the dtypes and shapes, which ``read_arrays`` needs."""
        (self.folder / SHAPES).write_text(json.dumps(self._shapes, indent=1))

    def _append_ragged(self, name: str, rows: Ragged) -> None:
        if name not in self:
            self._append(_offsets_of(name), np.zeros(1, dtype=np.int64))
        end = self._shapes[name][1][0] if name in self else 0
        self._append(name, rows.values)
        self._append(_offsets_of(name), end + rows.offsets[1:])

    def _append(self, name: str, rows: NDArray[Any]) -> None:
        dtype, shape = self._shapes.get(name, (rows.dtype.str, [0, *rows.shape[1:]]))
        same = (rows.dtype.str, list(rows.shape[1:])) == (dtype, shape[1:])
        assert same, f"the rows of {name} change their dtype or shape from chunk to chunk"
        self._shapes[name] = (dtype, [shape[0] + len(rows), *shape[1:]])
        with self._file(name).open("ab") as stream:
            stream.write(np.ascontiguousarray(rows).data)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.bin"


def read_arrays(folder: Path) -> dict[str, NDArray[Any] | Ragged]:
    """Memory-map the arrays of a folder by name."""
    shapes = json.loads((folder / SHAPES).read_text())
    arrays = {name: map_array(folder / f"{name}.bin", *shape) for name, shape in shapes.items()}
    return {
        name: Ragged(values=array, offsets=offsets)
        if (offsets := arrays.get(_offsets_of(name))) is not None
        else array
        for name, array in arrays.items()
        if not name.endswith(_offsets_of(""))
    }


def map_array(path: Path, dtype: str, shape: Sequence[int]) -> NDArray[Any]:
    """Memory-map a file as an array, copy-on-write because torch needs writable memory."""
    if 0 in shape:
        return np.empty(tuple(shape), dtype)  # an empty file cannot be mapped
    # A plain array of the mapped memory: numpy's own class for it makes every access slower.
    return np.asarray(np.memmap(path, mode="c", dtype=dtype, shape=tuple(shape)))


def _offsets_of(name: str) -> str:
    return f"{name}.offsets"

"""Predicting with an exported network, without torch."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from leyden.arrays import Arrays, count_rows, take_rows
from leyden.data.inputs import chunks_with_rows
from leyden.data.readers import Reader
from leyden.errors import UserError
from leyden.schema import PROBABILITY, Field
from leyden.serving.artefact import Artefact, Network, graph_inputs
from leyden.tasks.readings import Reading

BATCH_SIZE = 64

DECIMALS = 6
"""Decimals of the probabilities in rows."""

PathName: TypeAlias = str | PathLike[str]

Row: TypeAlias = Mapping[str, Any]
"""A row as a client writes it, which JSON can hold."""


class Predictor(ABC):
    """A trained network, as ``leyden.load`` returns it.

    Attributes:
        path: The checkpoint, or the folder of the exported network.
        reader: Reads files as the values that the network takes.
        reading: Reads its answers.
    """

    path: Path
    reader: Reader
    reading: Reading

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes or labels by index; empty for other targets."""
        return self.reading.names

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Description of the values that the network takes."""
        return graph_inputs(self.reader)

    @property
    def answers(self) -> tuple[Field, ...]:
        """Description of the arrays that it returns."""
        return self.reading.answers

    def predict(
        self,
        inputs: PathName | Sequence[PathName | Row] | NDArray[Any] | Arrays,
        *,
        top: int = 0,
    ) -> list[dict[str, Any]]:
        """Predict files, rows or arrays.

        Args:
            inputs: A file or folder, or several; a list of rows, as ``self.reader.row_schema``
                describes them, such as the columns of a table; or the values that ``self.inputs``
                describes, ``(rows, ...)`` by name. The name may be left out if there is one.
            top: Number of the most probable classes to list under ``top``; 0 for no list.

        Returns:
            One dictionary per row, such as ``{"class": "cat", "probability": 0.9}``, with the
            ``file`` of a row that was read from one. Probabilities have 6 decimals.

        Raises:
            UserError: If there is no input or it cannot be read, or rows or arrays are not as
                described.
        """
        if isinstance(inputs, Mapping):
            return list(self.stream_values(self._checked(inputs), top=top))
        if isinstance(inputs, np.ndarray):
            return list(self.stream_values(self._checked({self.inputs[0].name: inputs}), top=top))
        items: Sequence[Any] = [inputs] if isinstance(inputs, str | PathLike) else inputs
        if items and all(isinstance(item, Mapping) for item in items):
            return self._predict_rows(items, top=top)
        return list(self.stream(_names(items), top=top))

    def stream(self, paths: Sequence[str], *, top: int = 0) -> Iterator[dict[str, Any]]:
        """Predict files part by part.

        Args:
            paths: Files, or folders of files.
            top: As for ``predict``.

        Yields:
            One dictionary per row: ``file``, and the columns of the task.

        Raises:
            UserError: If some inputs cannot be read; raised after all other rows.
        """
        for chunk in chunks_with_rows(self.reader.read(paths)):
            predicted = self.stream_values(chunk.fields, top=top)
            for name, row in zip(chunk.names, predicted, strict=True):
                yield {"file": name, **row}

    @abstractmethod
    def stream_values(self, values: Arrays, *, top: int = 0) -> Iterator[dict[str, Any]]:
        """Predict values ``(rows, ...)`` by name, which are as ``inputs`` describes them."""

    def _predict_rows(self, rows: Sequence[Row], *, top: int) -> list[dict[str, Any]]:
        """Predict rows.

        Raises:
            UserError: If one of them is not as described.
        """
        read = self.reader.decode_rows(rows)
        for item in read.rejected:
            raise UserError(f"{item.source}: {item.reason}.")
        return list(self.stream_values(read.fields, top=top))

    def _checked(self, values: Arrays) -> Arrays:
        """Return arrays of the described names, dtypes and shapes.

        Raises:
            UserError: If an array is missing or of another shape, or there are others.
        """
        needed = [field.name for field in self.inputs]
        expected = {field.name: field for field in self.reader.values}  # also those without columns
        if not set(needed) <= set(values) <= set(expected):
            raise UserError(
                f"The network takes the arrays {', '.join(needed)}, got "
                f"{', '.join(map(str, values)) or 'none'}."
            )
        checked = {
            name: _checked_array(np.asarray(values[name]), expected[name]) for name in values
        }
        if len({len(value) for value in checked.values()}) > 1:
            lengths = ", ".join(f"{name}: {len(value)}" for name, value in checked.items())
            raise UserError(f"Expected arrays with equal numbers of rows, got {lengths}.")
        rows = count_rows(checked)
        missing = (field for name, field in expected.items() if name not in checked)
        return checked | {each.name: np.empty((rows, 0), each.dtype) for each in missing}


class ArtefactPredictor(Predictor):
    """An exported network, run by ONNX Runtime, or by torch if it is in torch's format.

    Args:
        artefact: Description of the exported network.
        network: Runs its graph.
    """

    def __init__(self, artefact: Artefact, network: Network) -> None:
        self.artefact = artefact
        self.network = network
        self.path = artefact.path
        self.reader = artefact.reader
        self.reading = artefact.reading

    def stream_values(self, values: Arrays, *, top: int = 0) -> Iterator[dict[str, Any]]:
        """Predict values in batches."""
        for batch in _batches(values):
            columns = self.reading.predict(self.network, batch, top=top)
            yield from as_rows(self.reader.readable(columns))


def as_rows(columns: Mapping[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of columns of equal length, as JSON holds them.

    Example:
        >>> list(as_rows({"class": ["cat"], "probability": [2 / 3]}))
        [{'class': 'cat', 'probability': 0.666667}]
    """
    for values in zip(*columns.values(), strict=True):
        yield round_row(dict(zip(columns, values, strict=True)))


def round_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Round the probabilities of a row, also those of its most probable classes."""
    return {name: _rounded(name, value) for name, value in row.items()}


def _rounded(name: str, value: Any) -> Any:
    if name == "top":
        return [round_row(each) for each in value]
    is_probability = name == "probability" or name.startswith(PROBABILITY)
    return round(value, DECIMALS) if is_probability else value


def _names(paths: Sequence[Any]) -> list[str]:
    """Return paths as strings.

    Raises:
        UserError: If there is none, or something else.
    """
    if not paths or not all(isinstance(path, str | PathLike) for path in paths):
        found = " and ".join(sorted({type(path).__name__ for path in paths})) or "nothing"
        raise UserError(
            "Expected paths of files, rows, or arrays by name as inputs of the network describes "
            f"them, got a list of {found}."
        )
    return [fspath(path) for path in paths]


def _batches(values: Arrays) -> Iterator[Arrays]:
    for start in range(0, count_rows(values) if values else 0, BATCH_SIZE):
        yield take_rows(values, start, start + BATCH_SIZE)


def _checked_array(array: NDArray[Any], field: Field) -> NDArray[Any]:
    dtype = np.dtype(field.dtype)
    if not field.fits(array.shape) or not np.can_cast(array.dtype, dtype, "safe"):
        shape = ", ".join(map(str, field.shape))
        raise UserError(
            f"{field.name}: expected ({shape}) {field.dtype}, {field.meaning}, got "
            f"{array.shape} {array.dtype}."
        )
    return np.require(array, dtype, ["C", "W"])

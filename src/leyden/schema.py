"""Descriptions of the arrays that a network takes and returns, without torch and NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

SEPARATOR = ";"
"""Separates the labels of a row where they are written as text."""

PROBABILITY = "probability of "
"""Beginning of the name of a column of probabilities; the class or label follows."""

TargetKind = Literal["class", "number", "labels", "transcript", "none"]
"""What the targets of rows are: one class, one number, any number of labels, a text, or nothing."""

Dtype = Literal["bool", "uint8", "int16", "int64", "float32", "float64"]

DATATYPES: Mapping[str, str] = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "int16": "INT16",
    "int64": "INT64",
    "float32": "FP32",
    "float64": "FP64",
}
"""Name of each dtype in the Open Inference Protocol."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """An array of an exported network.

    Attributes:
        name: Its name in the graph.
        dtype: Its NumPy dtype.
        shape: Its sizes; a name, such as ``batch``, stands for a size that may vary.
        meaning: What it holds, with units.
        least: Smallest value of its varying sizes other than ``batch``.
        most: Largest value of them; ``None`` for no limit.
    """

    name: str
    dtype: Dtype
    shape: tuple[int | str, ...]
    meaning: str
    least: int = 0
    most: int | None = None

    @property
    def sizes(self) -> list[int]:
        """The shape with -1 for sizes that vary."""
        return [size if isinstance(size, int) else -1 for size in self.shape]

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether an array of this shape is as described.

        Example:
            >>> field = Field(name="x", dtype="bool", shape=("batch", 3), meaning="")
            >>> field.fits((0, 3)), field.fits((1, 4)), field.fits((3,))
            (True, False, False)
        """
        return len(shape) == len(self.shape) and all(
            size in ("batch", found) or (isinstance(size, str) and self._allows(found))
            for size, found in zip(self.shape, shape, strict=True)
        )

    def _allows(self, size: int) -> bool:
        return self.least <= size and (self.most is None or size <= self.most)

"""Descriptions of what a network takes and returns, which do not need torch."""

from dataclasses import dataclass
from typing import Literal

SEPARATOR = ";"
"""Separates the labels of a row where they are written as text."""

Dtype = Literal["bool", "uint8", "int16", "int64", "float32", "float64"]


@dataclass(frozen=True, kw_only=True)
class Field:
    """An array of an exported network.

    Attributes:
        name: Its name in the graph.
        dtype: Its NumPy dtype.
        shape: Its sizes; a name, such as ``batch``, stands for a size that may vary.
        meaning: What it holds, with units.
    """

    name: str
    dtype: Dtype
    shape: tuple[int | str, ...]
    meaning: str

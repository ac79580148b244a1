"""Rows as a source yields them, before cleaning."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["all", "train", "val", "test"]
"""The part that the source itself puts a row in; ``all`` where the data module has to split."""


class UnreadableError(Exception):
    """One item of a source can't be read; the message says why."""


@dataclass(frozen=True, kw_only=True)
class RejectedItem:
    """An item of the source that did not become a row, and the cleaning step that says so."""

    source: str
    reason: str
    step: str = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A chunk of consecutive rows.

    Attributes:
        arrays: the inputs in their compact dtype, ``(rows, ...)`` each.
        targets: ``(rows,)`` class names (str), indices (int64) where the data set declares its
            ``class_names``, or numbers (float) to predict.
        part: the part that the source puts these rows in.
        sources: where each row came from, for people: a path or a row number.
        rejected: items of this chunk that did not become rows.
        groups: ``(rows,)`` names of what must not be torn apart by a split, such as a speaker.
    """

    arrays: dict[str, NDArray[np.generic]]
    targets: NDArray[np.generic]
    part: Part
    sources: Sequence[str]
    rejected: Sequence[RejectedItem] = ()
    groups: NDArray[np.str_] | None = None

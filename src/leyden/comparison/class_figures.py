"""Precision, recall and F1 of each class with intervals, from counts of rows."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from leyden.comparison.statistics import wilson
from leyden.comparison.table import aligned
from leyden.files import open_aside
from leyden.printable import cell

Confusion = NDArray[np.int64]
"""Numbers of rows by target and prediction: ``(classes, classes)`` or ``(labels, 2, 2)``."""

_FIGURES = ("precision", "recall", "f1")
_COUNTS = ("hits", "false_alarms", "misses")


class Figure(NamedTuple):
    """A proportion and its 95 % confidence interval; NaN if no row counts towards it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ClassFigures:
    """What was counted of one class or label.

    Attributes:
        name: Its name.
        hits: Rows that have it and are predicted to have it.
        false_alarms: Rows that are predicted to have it, but do not.
        misses: Rows that have it, but are not predicted to.
    """

    name: str
    hits: int
    false_alarms: int
    misses: int

    @property
    def support(self) -> int:
        """Rows that have it."""
        return self.hits + self.misses

    @property
    def precision(self) -> Figure:
        """Share of the rows that are predicted to have it which do."""
        return _share(self.hits, self.hits + self.false_alarms)

    @property
    def recall(self) -> Figure:
        """Share of the rows that have it which are predicted to."""
        return _share(self.hits, self.support)

    @property
    def f1(self) -> Figure:
        """Harmonic mean of precision and recall.

        It is ``2 J / (1 + J)``, where ``J`` is the share of the hits among all rows that have the
        class or are predicted to, so the ends of the interval of ``J`` give those of F1.
        """
        share = _share(self.hits, self.hits + self.false_alarms + self.misses)
        return Figure(*(2 * each / (1 + each) for each in share))


def class_figures(confusion: Confusion, names: Sequence[str]) -> list[ClassFigures]:
    """Count hits, false alarms and misses of each class or label.

    Args:
        confusion: Numbers of rows, as ``Task.confusion`` counts them.
        names: Names of the classes or labels.

    Example:
        >>> [cat, dog] = class_figures(np.array([[8, 2], [1, 9]]), ["cat", "dog"])
        >>> cat.support, round(cat.precision.value, 3), round(cat.recall.value, 3)
        (10, 0.889, 0.8)
    """
    if confusion.ndim == 3:
        cells = confusion[:, [1, 0, 1], [1, 1, 0]].T
    else:
        hits = confusion.diagonal()
        cells = np.stack([hits, confusion.sum(axis=0) - hits, confusion.sum(axis=1) - hits])
    return [
        ClassFigures(name=name, hits=hits, false_alarms=alarms, misses=misses)
        for name, hits, alarms, misses in zip(names, *cells.tolist(), strict=True)
    ]


def write_classes(confusions: Mapping[str, Confusion], names: Sequence[str], path: Path) -> None:
    """Write one line for each split and class: its counts, and its figures with intervals."""
    figures = [f"{name}{end}" for name in _FIGURES for end in ("", " low", " high")]
    with open_aside(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["split", "class", "support", *_COUNTS, *figures])
        for split, confusion in confusions.items():
            for each in class_figures(confusion, names):
                counts = [getattr(each, count) for count in _COUNTS]
                values = [value for name in _FIGURES for value in getattr(each, name)]
                shown = ("" if math.isnan(value) else f"{value:.6g}" for value in values)
                writer.writerow([split, cell(each.name), each.support, *counts, *shown])


def write_confusion(confusions: Mapping[str, Confusion], names: Sequence[str], path: Path) -> None:
    """Write one line for each split and class: the numbers of its rows by predicted class."""
    with open_aside(path) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["split", "target", *map(cell, names)])
        for split, confusion in confusions.items():
            for name, row in zip(names, confusion.tolist(), strict=True):
                writer.writerow([split, cell(name), *row])


def as_text(confusion: Confusion, names: Sequence[str]) -> str:
    """Format one line for each class, in their order."""
    header = ["class", "rows", *(each for name in _FIGURES for each in (name, "95 % interval"))]
    lines = [
        [
            each.name,
            str(each.support),
            *(text for name in _FIGURES for text in _words(getattr(each, name))),
        ]
        for each in class_figures(confusion, names)
    ]
    return aligned([header, *lines])


def _share(part: int, whole: int) -> Figure:
    return Figure(part / whole if whole else math.nan, *wilson(part, whole))


def _words(figure: Figure) -> tuple[str, str]:
    if math.isnan(figure.value):
        return "", ""
    return f"{figure.value:.3f}", f"{figure.low:.3f} to {figure.high:.3f}"

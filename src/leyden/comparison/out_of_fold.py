"""Predictions of each row by a network of a cross-validation that was not trained on it."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leyden.comparison.label_errors import find_label_errors
from leyden.errors import UserError
from leyden.files import written_aside
from leyden.printable import cell

OUT_OF_FOLD = "oof.csv"
"""File of the out-of-fold predictions in the folder of a cross-validation."""

PROBABILITY = "probability of "
"""Beginning of the name of a column of probabilities; the class follows."""

MARGIN, SUGGESTED = "label_margin", "suggested_class"
"""Columns that ``mark_label_errors`` adds."""


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Probabilities of classes.

    Attributes:
        probabilities: ``(rows, classes)`` float64.
        targets: Classes ``(rows,)`` int64.
        class_names: Names of the classes, in the order of their indices.
    """

    probabilities: NDArray[np.float64]
    targets: NDArray[np.int64]
    class_names: tuple[str, ...]


def read_out_of_fold(file: Path, class_names: tuple[str, ...]) -> Predictions:
    """Read the probabilities in ``oof.csv``; those of a row in several repeats are averaged.

    Raises:
        UserError: If columns are missing or damaged.
    """
    _, lines = _read(file)
    places, found = _parse(file, lines, class_names)
    _, first = np.unique(places, return_index=True)
    sums = np.zeros((len(first), len(class_names)))
    np.add.at(sums, places, found.probabilities)
    return Predictions(
        probabilities=sums / np.bincount(places)[:, None],
        targets=found.targets[first],
        class_names=class_names,
    )


def mark_label_errors(file: Path, class_names: tuple[str, ...]) -> int:
    """Add to ``oof.csv`` which labels are probably wrong, by confident learning.

    The column ``label_margin`` is the probability of the label minus the highest of the others;
    ``suggested_class`` is empty unless the label is probably wrong. Marked files are marked anew.

    Returns:
        Number of rows whose label is probably wrong.

    Raises:
        UserError: If columns are missing or damaged.
    """
    columns, lines = _read(file)
    places, _ = _parse(file, lines, class_names)
    found = read_out_of_fold(file, class_names)
    errors = find_label_errors(found.probabilities, found.targets)
    suggested = [""] * len(found.targets)
    for row in errors.suspects:
        suggested[row] = cell(class_names[errors.suggested[row]])
    for place, line in zip(places, lines, strict=True):
        line[MARGIN], line[SUGGESTED] = f"{errors.margins[place]:.4f}", suggested[place]
    with written_aside(file) as aside, aside.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys([*columns, MARGIN, SUGGESTED])))
        writer.writeheader()
        writer.writerows(lines)
    return len(errors.suspects)


def _read(file: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        return list(reader.fieldnames or ()), list(reader)


def _parse(
    file: Path, lines: Sequence[Mapping[str, str]], class_names: tuple[str, ...]
) -> tuple[NDArray[np.int64], Predictions]:
    """Return the number ``(lines,)`` of the row of each line, and what was predicted for it."""
    classes = {cell(name): place for place, name in enumerate(class_names)}
    rows: dict[str, int] = {}
    try:
        columns = [cell(PROBABILITY + name) for name in class_names]
        places = np.array([rows.setdefault(line["source"], len(rows)) for line in lines], np.int64)
        predictions = Predictions(
            probabilities=np.array([[float(line[name]) for name in columns] for line in lines]),
            targets=np.array([classes[line["target"]] for line in lines], np.int64),
            class_names=class_names,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{file} is damaged: {error}. Remove it, and continue the cross-validation with "
            f"`leyden crossval run={file.parent}`, which writes it again."
        ) from error
    return places, predictions

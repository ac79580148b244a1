"""Predictions of each row by a network of a cross-validation that was not trained on it."""

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from leyden.comparison.label_errors import find_label_errors
from leyden.errors import UserError
from leyden.files import open_aside
from leyden.printable import cell
from leyden.runs.folder import RunFolder
from leyden.schema import PROBABILITY

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


def read_out_of_fold(file: Path) -> Predictions:
    """Read the probabilities in ``oof.csv``; those of a row in several repeats are averaged.

    Raises:
        UserError: If the predictions are not those of one class per row, or are damaged.
    """
    columns, lines = _read(file)
    places, found = _parse(file, columns, lines)
    _, first = np.unique(places, return_index=True)
    sums = np.zeros((len(first), len(found.class_names)))
    np.add.at(sums, places, found.probabilities)
    return Predictions(
        probabilities=sums / np.bincount(places)[:, None],
        targets=found.targets[first],
        class_names=found.class_names,
    )


def holds_classes(file: Path) -> bool:
    """Whether a file is an ``oof.csv`` in which one class of several is predicted for each row."""
    if not file.is_file():
        return False
    with file.open(newline="", encoding="utf-8") as stream:
        return {"class", "target"} <= set(next(csv.reader(stream), ()))


def mark_label_errors(file: Path) -> int:
    """Add to ``oof.csv`` which labels are probably wrong, by confident learning.

    The column ``label_margin`` is the probability of the label minus the highest of the others;
    ``suggested_class`` is empty unless the label is probably wrong. Marked files are marked anew.

    Returns:
        Number of rows whose label is probably wrong.

    Raises:
        UserError: If the predictions are not those of one class per row, or are damaged.
    """
    columns, lines = _read(file)
    places, _ = _parse(file, columns, lines)
    found = read_out_of_fold(file)
    errors = find_label_errors(found.probabilities, found.targets)
    suggested = [""] * len(found.targets)
    for row in errors.suspects:
        suggested[row] = cell(found.class_names[errors.suggested[row]])
    for place, line in zip(places, lines, strict=True):
        line[MARGIN], line[SUGGESTED] = f"{errors.margins[place]:.4f}", suggested[place]
    with open_aside(file) as stream:
        names = list(dict.fromkeys([*columns, MARGIN, SUGGESTED]))
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)
    return len(errors.suspects)


def _read(file: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    """Return the columns and the lines; a copy that was cut off has fewer than ``folds.csv`` says.

    Raises:
        UserError: If one of the files is damaged.
    """
    folds = RunFolder(file.parent).folds
    try:
        columns, lines = _read_csv(file)
        tested = [int(row["n_test"]) for row in _read_csv(folds)[1]] if folds.exists() else []
    except (OSError, KeyError, TypeError, ValueError, csv.Error) as error:
        raise _damaged(file, repr(error)) from error
    if tested and len(lines) != sum(tested):
        raise _damaged(file, f"it has {len(lines)} lines, not {sum(tested)}")
    return columns, lines


def _read_csv(file: Path) -> tuple[Sequence[str], list[dict[str, str]]]:
    with file.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        return list(reader.fieldnames or ()), list(reader)


def _damaged(file: Path, fault: str) -> UserError:
    return UserError(
        f"{file} is damaged: {fault}. Restore the file, or remove status.json beside it and give "
        f"`leyden crossval run={file.parent}`, which writes it again."
    )


def _parse(
    file: Path, columns: Sequence[str], lines: Sequence[Mapping[str, str]]
) -> tuple[NDArray[np.int64], Predictions]:
    """Return the number ``(lines,)`` of the row of each line, and what was predicted for it."""
    of_classes = [column for column in columns if column.startswith(PROBABILITY)]
    names = tuple(column.removeprefix(PROBABILITY) for column in of_classes)
    classes = {cell(name): place for place, name in enumerate(names)}
    try:
        places = _number_rows(lines)
        values = [[float(line[column]) for column in of_classes] for line in lines]
        predictions = Predictions(
            probabilities=np.array(values).reshape(len(lines), len(names)),
            targets=np.array([classes[line["target"]] for line in lines], np.int64),
            class_names=names,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(file, repr(error)) from error
    return places, predictions


def _number_rows(lines: Sequence[Mapping[str, str]]) -> NDArray[np.int64]:
    """Return the number ``(lines,)`` of the row of each line, equal for one row in all repeats.

    Each repeat has a line for every row in the same order, and rows may share their source.
    """
    seen = Counter[tuple[str, str]]()
    rows: dict[tuple[str, int], int] = {}
    places = []
    for line in lines:
        seen[line["repeat"], line["source"]] += 1
        row = (line["source"], seen[line["repeat"], line["source"]])
        places.append(rows.setdefault(row, len(rows)))
    return np.array(places, np.int64)

"""The sections on a cross-validation: its folds, its calibration, and labels that may be wrong."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from leyden.comparison.calibration import BINS, calibration_error, fit_temperature
from leyden.comparison.label_errors import find_label_errors
from leyden.comparison.out_of_fold import Predictions, holds_classes, read_out_of_fold
from leyden.comparison.report.checklist import as_mapping
from leyden.comparison.report.html import Badge, Block, Cell, Facts, Pictures, Section, Table, Text
from leyden.comparison.report.pictures import draw_reliability, number
from leyden.comparison.report.wording import duration, plural
from leyden.comparison.results import Result
from leyden.errors import UserError
from leyden.runs.folder import RunFolder

LISTED = 50
"""Rows with a label that is probably wrong that the page lists; ``oof.csv`` has all."""

LEAST = np.finfo(np.float32).tiny
"""Least probability, which has a logarithm."""


@dataclass(frozen=True, kw_only=True)
class OutOfFold:
    """The out-of-fold predictions of classes.

    Attributes:
        predictions: Their probabilities.
        sources: Name of each row.
    """

    predictions: Predictions
    sources: Sequence[str]


def read_predictions(result: Result) -> OutOfFold | None:
    """Read ``oof.csv``; nothing if it is missing, damaged, or holds no probabilities of classes."""
    file = RunFolder(result.path).predictions
    try:
        if not holds_classes(file):
            return None
        predictions = read_out_of_fold(file)
        with file.open(newline="", encoding="utf-8") as stream:
            # Each repeat has all rows in the same order, and rows may share their source.
            lines = islice(csv.DictReader(stream), len(predictions.targets))
            return OutOfFold(predictions=predictions, sources=[line["source"] for line in lines])
    except (UserError, KeyError, ValueError, csv.Error):
        return None


def fold_table(result: Result) -> Section:
    """List what each fold measured on the rows that it left out."""
    names = sorted({name for each in result.folds for name in each.metrics})
    names = [name for name in names if name.startswith("test/")]
    header = ["fold", "seed", "training rows", "rows left out", *names, "time", ""]
    rows = [_fold(each, names) for each in result.folds]
    text = "Every fold was measured on the rows that it was not trained on."
    return Section(
        title="Folds", blocks=[Text(text=text), Table(header=header, rows=rows)] if rows else []
    )


def _fold(fold: Result, names: Sequence[str]) -> list[Cell]:
    counts = as_mapping(RunFolder(fold.path).read_status().get("rows"))
    values = [fold.metrics.get(name, math.nan) for name in names]
    state: Cell = "" if fold.is_finished else Badge(text=fold.state, tone="failed")
    return [
        fold.name,
        str(fold.seed),
        *(str(counts.get(split, "-")) for split in ("train", "test")),
        *map(number, values),
        duration(fold.seconds),
        state,
    ]


def calibration(found: OutOfFold) -> Section:
    """Compare confidence with accuracy, before and after the temperature is fitted."""
    probabilities, targets = found.predictions.probabilities, found.predictions.targets
    logits = np.log(probabilities.clip(min=LEAST))
    temperature = fit_temperature(logits, targets)
    scaled = np.exp(logits / temperature)
    scaled /= scaled.sum(axis=1, keepdims=True)
    facts = {
        "Calibration error": f"{calibration_error(probabilities, targets):.4f}",
        f"With a temperature of {number(temperature)}": f"{calibration_error(scaled, targets):.4f}",
    }
    text = (
        "Expected calibration error over 15 bins of the out-of-fold predictions. The temperature "
        "was fitted on the same rows; leyden calibrate writes it into the checkpoint."
    )
    blocks: list[Block] = [Text(text=text), Facts(answers=facts)]
    panels = {}
    for name, values in {"As predicted": probabilities, "With the temperature": scaled}.items():
        caption = f"{name}: accuracy by confidence"
        if svg := draw_reliability(_bins(values, targets), name=caption):
            panels[caption] = svg
    return Section(title="Calibration", blocks=[*blocks, Pictures(panels=panels, legend={})])


def _bins(
    probabilities: "np.typing.NDArray[np.float64]", targets: "np.typing.NDArray[np.int64]"
) -> list[tuple[float, float, float]]:
    """Return the mean confidence, the accuracy and the share of the rows of each bin with rows."""
    confidence, hits = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    usable = np.isfinite(confidence)
    confidence, hits = confidence[usable], hits[usable]
    places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    return [
        (
            float(confidence[places == place].mean()),
            float(hits[places == place].mean()),
            float((places == place).mean()),
        )
        for place in np.unique(places)
    ]


def label_errors(found: OutOfFold) -> Section:
    """List the rows whose label is probably wrong, the most certain first."""
    predictions = found.predictions
    errors = find_label_errors(predictions.probabilities, predictions.targets)
    names = predictions.class_names
    rows: list[list[Cell]] = [
        [
            found.sources[row],
            names[predictions.targets[row]],
            names[errors.suggested[row]],
            f"{predictions.probabilities[row, errors.suggested[row]]:.3f}",
            f"{errors.margins[row]:.3f}",
        ]
        for row in errors.suspects[:LISTED]
    ]
    text = (
        f"By confident learning (Northcutt, Jiang and Chuang 2021), the labels of "
        f"{plural(len(errors.suspects), 'row')} of {len(predictions.targets)} are "
        "probably wrong. The margin is the probability of the label minus the highest of the other "
        "classes; all rows are in oof.csv."
    )
    header = ["row", "label", "suggested", "its probability", "margin"]
    table: list[Block] = [Table(header=header, rows=rows)] if rows else []
    return Section(title="Labels that may be wrong", blocks=[Text(text=text), *table])


def count_label_errors(found: OutOfFold) -> int:
    """Return the number of rows whose label is probably wrong."""
    predictions = found.predictions
    return len(find_label_errors(predictions.probabilities, predictions.targets).suspects)

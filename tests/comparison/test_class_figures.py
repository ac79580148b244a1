import csv
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from leyden.comparison.class_figures import (
    ClassFigures,
    as_text,
    class_figures,
    write_classes,
    write_confusion,
)

CONFUSION = np.array([[8, 2, 0], [1, 9, 0], [0, 3, 0]])
NAMES = ["cat", "=dog", "owl"]
LABELS = np.array([[[90, 4], [1, 5]], [[50, 0], [50, 0]]])


def test_figures_are_those_of_scikit_learn() -> None:
    targets, predicted = (
        np.repeat(index, CONFUSION.ravel()) for index in np.indices((3, 3)).reshape(2, -1)
    )
    expected = precision_recall_fscore_support(targets, predicted, zero_division=np.nan)

    found = class_figures(CONFUSION, NAMES)

    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        np.testing.assert_allclose([getattr(each, name).value for each in found], values)
    assert [each.support for each in found] == expected[3].tolist()


def test_labels_are_counted_by_themselves() -> None:
    assert class_figures(LABELS, ["a", "b"]) == [
        ClassFigures(name="a", hits=5, false_alarms=4, misses=1),
        ClassFigures(name="b", hits=0, false_alarms=0, misses=50),
    ]


def test_intervals_hold_the_figure_and_shrink_with_more_rows() -> None:
    few, many = (class_figures(CONFUSION * times, NAMES)[0] for times in (1, 100))

    for name in ("precision", "recall", "f1"):
        wide, narrow = getattr(few, name), getattr(many, name)
        assert 0 <= wide.low < narrow.low < narrow.value < narrow.high < wide.high <= 1
        assert wide.value == narrow.value


def test_the_interval_of_f1_covers_the_true_value() -> None:
    """In 95 % of samples, give or take what 2,000 samples vary."""
    random = np.random.default_rng(0)
    rates = [0.3, 0.1, 0.15, 0.45]  # hits, false alarms, misses, the rest
    true = 2 * 0.3 / (2 * 0.3 + 0.1 + 0.15)
    samples = random.multinomial(200, rates, 2000)[:, :3].tolist()

    figures = [
        ClassFigures(name="", hits=hits, false_alarms=alarms, misses=misses).f1
        for hits, alarms, misses in samples
    ]

    covered = np.mean([each.low <= true <= each.high for each in figures])
    assert covered == pytest.approx(0.95, abs=0.02)


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    owl = class_figures(CONFUSION, NAMES)[2]

    assert math.isnan(owl.precision.value)
    assert owl.recall.value == owl.recall.low == 0
    last = as_text(CONFUSION, NAMES).splitlines()[-1].split()
    assert last == ["owl", "3", "0.000", "0.000", "to", "0.561", "0.000", "0.000", "to", "0.719"]


def test_files(tmp_path: Path) -> None:
    write_classes({"val": CONFUSION, "test": CONFUSION}, NAMES, tmp_path / "classes.csv")
    write_confusion({"test": CONFUSION}, NAMES, tmp_path / "confusion.csv")

    with (tmp_path / "classes.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["split"], row["class"]) for row in rows[:3]] == [
        ("val", "cat"),
        ("val", "'=dog"),  # which a spreadsheet would evaluate
        ("val", "owl"),
    ]
    assert (rows[0]["support"], rows[0]["recall"], rows[2]["precision"]) == ("10", "0.8", "")
    assert (tmp_path / "confusion.csv").read_text().splitlines() == [
        "split,target,cat,'=dog,owl",
        "test,cat,8,2,0",
        "test,'=dog,1,9,0",
        "test,owl,0,3,0",
    ]

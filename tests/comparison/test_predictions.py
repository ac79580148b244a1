import csv

import numpy as np
import pytest

from leyden.comparison.out_of_fold import mark_label_errors, read_out_of_fold
from leyden.errors import UserError


def written(path, *lines):
    columns = "source,repeat,fold,target,class,probability,probability of cat,probability of =dog"
    path.write_text("\n".join([columns, *lines]) + "\n")
    return path


@pytest.fixture
def file(tmp_path):
    """Ten confident rows of each class, of which row 0 has the wrong label."""
    lines = [
        f"{row}.png,0,{row % 2},{'cat' if row < 10 else chr(39) + '=dog'},x,0.9,{p},{1 - p:.2f}"
        for row, p in enumerate([0.05, *[0.9] * 9, *[0.1] * 10])
    ]
    return written(tmp_path / "oof.csv", *lines)


def test_probabilities_and_targets_are_read(file):
    found = read_out_of_fold(file)
    assert found.probabilities.shape == (20, 2)
    assert found.probabilities[0].tolist() == [0.05, 0.95]
    assert found.targets.tolist() == [0] * 10 + [1] * 10
    assert found.class_names == ("cat", "=dog")  # which a spreadsheet would evaluate


def test_rows_of_several_repeats_are_averaged(tmp_path):
    lines = (
        "a.png,0,0,cat,cat,0.8,0.8,0.2",
        "b.png,0,0,cat,cat,1,1,0",
        "a.png,1,0,cat,x,0,0.4,0.6",
    )
    found = read_out_of_fold(written(tmp_path / "oof.csv", *lines))
    assert np.allclose(found.probabilities, [[0.6, 0.4], [1, 0]])
    assert found.targets.tolist() == [0, 0]


def test_rows_of_one_source_are_kept_apart(tmp_path):
    lines = (
        "a.png,0,0,cat,cat,0.8,0.8,0.2",
        "a.png,0,1,'=dog,x,0.9,0.1,0.9",
        "a.png,1,0,cat,x,0,0.4,0.6",
        "a.png,1,1,'=dog,x,0.7,0.3,0.7",
    )
    found = read_out_of_fold(written(tmp_path / "oof.csv", *lines))
    assert np.allclose(found.probabilities, [[0.6, 0.4], [0.2, 0.8]])
    assert found.targets.tolist() == [0, 1]


def test_wrong_labels_are_marked_once_however_often(file):
    assert [mark_label_errors(file) for _ in range(2)] == [1, 1]
    with file.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["suggested_class"] for line in lines] == ["'=dog"] + [""] * 19
    assert float(lines[0]["label_margin"]) == -0.9
    assert b"\r" not in file.read_bytes()
    assert list(lines[0])[-2:] == ["label_margin", "suggested_class"]


def test_a_damaged_file_is_refused(file):
    file.write_text(file.read_text().replace("0.9,0.10", "0.9,often"))
    with pytest.raises(UserError, match=r"oof\.csv is damaged.*often"):
        read_out_of_fold(file)


def test_a_file_that_was_cut_off_is_refused(file):
    (file.parent / "folds.csv").write_text("n_test\n12\n8\n")
    assert len(read_out_of_fold(file).targets) == 20
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(UserError, match=r"oof\.csv is damaged.*it has 19 lines, not 20"):
        mark_label_errors(file)

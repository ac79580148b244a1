import csv
import json

import pytest

WHERE = ("data=penguins", "network=table_mlp")


def folder_of(tmp_path):
    [folder] = (tmp_path / "runs/penguins").glob("*-baselines")
    return folder


def test_each_baseline_has_a_folder_with_its_metrics(leyden, tmp_path):
    result = leyden("baselines", *WHERE)
    assert result.code == 0
    folder = folder_of(tmp_path)
    metrics = json.loads((folder / "linear/metrics.json").read_text())
    assert metrics["test/accuracy"] > 0.9
    with (folder / "ranking.csv").open(newline="") as stream:
        models = [row["model"] for row in csv.DictReader(stream)]
    assert set(models) == {"constant", "linear", "gradient_boosting", "nearest_neighbours"}


def test_folds_are_those_of_a_cross_validation(leyden, tmp_path):
    assert leyden("baselines", *WHERE, "folds=3").code == 0
    with (folder_of(tmp_path) / "constant/folds.csv").open(newline="") as stream:
        baseline = list(csv.DictReader(stream))
    assert leyden("crossval", *WHERE, "folds=3", "trainer.max_epochs=1", "logger=null").code == 0
    [crossval] = (tmp_path / "runs/penguins").glob("*-crossval")
    with (crossval / "folds.csv").open(newline="") as stream:
        networks = list(csv.DictReader(stream))
    for key in ("repeat", "fold", "n_train", "n_test"):
        assert [row[key] for row in baseline] == [row[key] for row in networks]


@pytest.mark.parametrize(("word", "message"), [("folds=1", "from 2"), ("-m", "'-m'")])
def test_other_words_are_refused(leyden, word, message):
    result = leyden("baselines", *WHERE, word)
    assert result.code == 2
    assert message in result.err

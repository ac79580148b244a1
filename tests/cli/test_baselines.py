import csv
import json
from time import perf_counter

import pytest


@pytest.fixture
def where(measurements):
    """Give the words that choose a small table of classes."""
    return (
        *("data=table", f"data.path={measurements}", "data.target=species"),
        *("network=table_mlp", "loss.label_smoothing=0"),
    )


def folder_of(tmp_path):
    [folder] = (tmp_path / "runs/measurements").glob("*-baselines")
    return folder


def test_each_baseline_has_a_folder_with_its_metrics(leyden, tmp_path, where):
    result = leyden("baselines", *where)
    assert result.code == 0
    folder = folder_of(tmp_path)
    metrics = json.loads((folder / "linear/metrics.json").read_text())
    assert metrics["test/accuracy"] > 0.9
    with (folder / "ranking.csv").open(newline="") as stream:
        models = [row["model"] for row in csv.DictReader(stream)]
    assert set(models) == {"constant", "linear", "gradient_boosting", "nearest_neighbours"}


@pytest.mark.slow  # trains several times
def test_folds_are_those_of_a_cross_validation(leyden, tmp_path, where):
    assert leyden("baselines", *where, "folds=3").code == 0
    with (folder_of(tmp_path) / "constant/folds.csv").open(newline="") as stream:
        baseline = list(csv.DictReader(stream))
    assert leyden("crossval", *where, "folds=3", "trainer.max_epochs=1", "logger=null").code == 0
    [crossval] = (tmp_path / "runs/measurements").glob("*-crossval")
    with (crossval / "folds.csv").open(newline="") as stream:
        networks = list(csv.DictReader(stream))
    for key in ("repeat", "fold", "n_train", "n_test"):
        assert [row[key] for row in baseline] == [row[key] for row in networks]


def test_baselines_are_ranked_by_the_monitored_metric_with_the_time_of_each(
    leyden, tmp_path, where
):
    start = perf_counter()
    assert leyden("baselines", *where, "folds=3").code == 0
    whole = perf_counter() - start
    with (folder_of(tmp_path) / "ranking.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert 0 < sum(float(row["seconds"]) for row in rows) < whole  # one after the other
    losses = [float(row["test/loss"]) for row in rows]
    assert losses == sorted(losses)
    assert rows[-1]["model"] == "constant"


@pytest.mark.slow  # trains several times
def test_resume_does_not_take_baselines_for_runs(leyden, tmp_path, where):
    words = (*where, "trainer.max_epochs=1", "logger=null")
    for folds in ((), ("folds=2",)):
        assert leyden("baselines", *words, *folds).code == 0
    measured = {path: path.read_bytes() for path in tmp_path.glob("runs/**/metrics.json")}
    assert leyden("train", *words, "resume=auto").code == 0
    assert leyden("train", "-m", *words, "resume=auto", "seed=0,1").code == 0
    assert leyden("crossval", *words, "folds=2", "resume=auto").code == 0
    assert all(path.read_bytes() == content for path, content in measured.items())
    [job] = tmp_path.glob("runs/measurements/*-sweep/0_seed=0/job.json")
    assert "baselines" not in json.loads(job.read_text())["run"]


def test_a_failure_is_recorded(leyden, tmp_path):
    (tmp_path / "c").mkdir()
    for number in range(30):
        (tmp_path / "c" / f"{number}.txt").write_text(f"text {number} of a corpus")
    words = ("data=text_corpus", f"data.root={tmp_path}/c", "network=causal_transformer")
    result = leyden("baselines", *words, "task=language_modelling")
    assert "targets of c are sequences" in result.err
    [folder] = tmp_path.glob("runs/c/*-baselines")
    states = [json.loads(file.read_text())["state"] for file in folder.glob("*/status.json")]
    assert set(states) == {"failed"}


@pytest.mark.parametrize(
    ("word", "message"), [("folds=1", "from 2"), ("-m", "'-m'"), ("repeats=2", "Give folds=K too")]
)
def test_other_words_are_refused(leyden, word, message, where):
    result = leyden("baselines", *where, word)
    assert result.code == 2
    assert message in result.err

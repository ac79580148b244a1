"""A network is trained on every kind of data with no further word than where they are."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

QUICK = ("debug=smoke", "logger=null", "name=own")


def metrics_of(folder: Path) -> set[str]:
    (run,) = (folder / "runs" / "own").iterdir()
    assert "INFO leyden.cli.train: chosen: " in (run / "train.log").read_text()
    return {name.removeprefix("test/") for name in json.loads((run / "metrics.json").read_text())}


def test_no_word_is_needed_but_where_the_data_are(kind, leyden, tmp_path):
    done = leyden("train", *kind, *QUICK)

    assert done.code == 0, done.err
    assert metrics_of(tmp_path) & {"accuracy", "cer", "perplexity"}


@pytest.mark.parametrize(
    ("words", "metric"),
    [
        (["data.target=kind"], "accuracy"),
        (["data.target=price"], "rmse"),
        (["data.target=[old,new]"], "exact_match"),
        (["data.target=tags", 'data.label_separator=","'], "exact_match"),
    ],
    ids=str,
)
def test_a_table_is_trained_on_whatever_its_target_holds(words, metric, leyden, tmp_path):
    rows = [f"{n % 13},{'ab'[n % 2]},{n % 2},{n % 3 > 1},'x,y',{n * 3.7}" for n in range(90)]
    text = "\n".join(["size,kind,old,new,tags,price", *rows]).replace("'", '"')
    (tmp_path / "houses.csv").write_text(text)

    done = leyden("train", "data=table", "data.path=houses.csv", *words, *QUICK)

    assert done.code == 0, done.err
    assert metric in metrics_of(tmp_path)

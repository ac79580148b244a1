"""Exports of tables and texts with each task, predicted from files as by their run."""

import json

import numpy as np
import pytest

import leyden
from leyden.config.compose import compose, freeze
from leyden.errors import UserError
from leyden.runs.folder import RunFolder
from leyden.serving.export import export
from leyden.serving.precision import TOLERANCES
from leyden.workflows.train import train

pytestmark = pytest.mark.slow  # trains and exports many networks


SHORT = ["trainer=cpu", "trainer.max_epochs=1", "trainer.precision=32-true", "data.batch_size=16"]


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """Return a table with a gap, an outlier, dates, categories and targets of each kind."""
    path = tmp_path_factory.mktemp("pets") / "pets.csv"
    random = np.random.default_rng(0)
    rows = [
        f"{'' if row % 9 == 0 else 1e6 + row / 7},{('cat', 'dog', 'Ibis')[row % 3]},"
        f"2020-01-{1 + row % 28:02},{1e9 + random.normal():.6f},{row % 2},{row % 5 == 0:d}"
        for row in range(120)
    ]
    path.write_text("\n".join(["weight,animal,born,price,loud,fast", *rows]))
    return path


def exported(folder, *words):
    train(freeze(compose([*SHORT, *words])), RunFolder(folder / "run"))
    return export(str(folder / "run"), folder / "network")


def assert_measured(folder, record, metric):
    """Compare the metric of the checkpoint that fp16 records with that of the run."""
    half = export(str(folder / "run"), folder / "half", precision="fp16")
    expected = record["metrics"][metric]
    assert half["metrics_before"][metric] == pytest.approx(expected, rel=1e-4)
    assert half["metrics"][metric] == pytest.approx(expected, rel=0.05)


def both(folder, *inputs):
    return [leyden.load(folder / name).predict(list(inputs)) for name in ("run", "network")]


def test_numbers_far_from_zero_are_predicted_in_their_unit(pets, tmp_path):
    record = exported(
        tmp_path,
        *("data=table", f"data.path={pets}", "data.target=price", "task=regression"),
        *("network=table_mlp", "data.scaling=quantile", "+data.columns.price='numeric:EUR'"),
    )

    by_run, by_export = both(tmp_path, pets)

    assert (record["target"], record["unit"]) == ("price", "EUR")
    assert record["parity"]["deviation"] <= TOLERANCES["fp32"]
    assert by_export[0]["value"] == pytest.approx(1e9, abs=10)
    assert_measured(tmp_path, record, "val/rmse")
    for ours, theirs in zip(by_export, by_run, strict=True):
        assert ours["value"] == pytest.approx(theirs["value"], abs=2e-5)
        assert ours["file"] == theirs["file"]


def test_labels_have_a_probability_each(pets, tmp_path):
    record = exported(
        tmp_path,
        *("data=table", f"data.path={pets}", "data.target=[loud,fast]", "task=multilabel"),
        *("network=ft_transformer", "network.depth=1"),
    )

    by_run, by_export = both(tmp_path, pets)

    assert record["parity"]["deviation"] <= TOLERANCES["fp32"]
    assert_measured(tmp_path, record, "val/auroc")
    assert list(by_export[0]) == ["file", "labels", "probability of fast", "probability of loud"]
    assert [row["labels"] for row in by_export] == [row["labels"] for row in by_run]
    assert json.loads((tmp_path / "network" / "model.json").read_text())["class_names"] == [
        "fast",
        "loud",
    ]


def test_a_table_without_numbers(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("a,b\n" + "".join(f"{'xyz'[n % 3]},{'pq'[n % 2]}\n" for n in range(60)))
    exported(tmp_path, "data=table", f"data.path={path}", "data.target=b", "network=ft_transformer")

    by_run, by_export = both(tmp_path, path)

    assert [row["class"] for row in by_export] == [row["class"] for row in by_run]
    for name in ("run", "network"):
        network = leyden.load(tmp_path / name)
        (by_row,) = network.predict([{"a": "y"}])
        (by_array,) = network.predict({"categories": np.array([[2]])})
        assert by_row == by_array
        with pytest.raises(UserError, match="row 1: has no key 'a'"):
            network.predict([{"a": "y"}, {"b": "y"}])
    with pytest.raises(UserError, match="categories: -1 is negative"):
        network.predict({"categories": np.array([[-1]])})


@pytest.mark.parametrize("network", ["bag_of_tokens", "transformer"])
def test_texts_of_any_length(tmp_path, network):
    for name in ("cat", "dog"):
        (tmp_path / "texts" / name).mkdir(parents=True)
        for index in range(20):
            text = f"the {name} number {index} " * (index + 1)
            (tmp_path / "texts" / name / f"{index}.txt").write_text(text)
    exported(
        tmp_path,
        *("data=text_folder", f"data.root={tmp_path}/texts", "data.vocab_size=300"),
        f"network={network}",
    )
    lengths = ["a", "ab", "a cat", "the dog " * 400]
    for index, text in enumerate(lengths):
        (tmp_path / f"{index}.txt").write_text(text)
        by_run, by_export = both(tmp_path, tmp_path / f"{index}.txt")
        assert by_export[0]["probability"] == pytest.approx(
            by_run[0]["probability"], abs=TOLERANCES["fp32"]
        )
    assert (
        len(leyden.load(tmp_path / "network").predict([tmp_path / "0.txt", tmp_path / "texts"]))
        == 41
    )
    (tmp_path / "empty.txt").write_text(" ")
    with pytest.raises(UserError, match="holds no text"):
        both(tmp_path, tmp_path / "empty.txt")
    (tmp_path / "network" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="is damaged"):
        leyden.load(tmp_path / "network")

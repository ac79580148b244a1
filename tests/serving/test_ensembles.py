"""The ensemble of a cross-validation is exported as one graph."""

import json

import numpy as np
import pytest

import leyden
from leyden.config.compose import compose, freeze
from leyden.runs.fixed_keys import claim
from leyden.runs.folder import RunFolder
from leyden.serving.export import export
from leyden.serving.precision import TOLERANCES
from leyden.workflows.crossval import crossval, ensemble_config
from leyden.workflows.evaluate import evaluate

pytestmark = pytest.mark.slow  # trains and exports many networks


QUICK = [
    *("trainer=cpu", "trainer.max_epochs=1", "trainer.precision=32-true", "data.batch_size=16"),
    *("logger=[]", "callbacks=[checkpoint]", "scheduler=constant"),
]


def exported_ensemble(folder, *words):
    config = ensemble_config(freeze(compose([*QUICK, *words])), folds=2)
    run = RunFolder(folder / "run")
    run.path.mkdir()
    claim(run, config)
    crossval(config, run)
    return export(str(run.path), folder / "network")


def assert_example_is_reproduced(folder, record):
    network = leyden.load(folder / "network")
    (row,) = record["example"]["request"]["inputs"]
    inputs = network.artefact.reader.decode_rows([row, {}, row])

    assert [item.source for item in inputs.rejected] == ["row 1"]
    predictions = record["example"]["response"]["predictions"]
    assert network.predict(inputs.fields, top=5) == predictions * 2


def assert_same_predictions(folder, path, column):
    by_run, by_export = (leyden.load(folder / name).predict(path) for name in ("run", "network"))

    assert [row["file"] for row in by_export] == [row["file"] for row in by_run]
    for ours, theirs in zip(by_export, by_run, strict=True):
        assert ours[column] == pytest.approx(theirs[column], abs=TOLERANCES["fp32"])


def assert_half_is_measured(folder, metric):
    """Compare the metrics that fp16 records with the metric of the whole ensemble."""
    half = export(str(folder / "run"), folder / "half", precision="fp16")
    expected = evaluate(str(folder / "run"))[metric]
    assert half["metrics_before"][metric] == pytest.approx(expected, rel=1e-5)
    assert half["metrics"][metric] == pytest.approx(expected, rel=0.05)


def test_members_of_images_share_the_pixels(tmp_path):
    record = exported_ensemble(tmp_path, "network=linear")

    assert [field["name"] for field in record["inputs"]] == ["images"]
    pixels = np.zeros((3, 1, 8, 8), np.uint8)
    by_run, by_export = (
        leyden.load(tmp_path / name).predict(pixels) for name in ("run", "network")
    )
    assert [row["class"] for row in by_export] == [row["class"] for row in by_run]
    assert_half_is_measured(tmp_path, "test/loss")


def test_members_of_texts_have_a_vocabulary_each(tmp_path):
    lines = [
        f"{'a cat' if n % 2 else 'the dog'} number {n} {'la ' * (n % 5)},{n % 2}" for n in range(60)
    ]
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(["text,pet", *lines]))
    record = exported_ensemble(
        tmp_path,
        *("data=text_table", f"data.path={path}", "data.text=text", "data.target=pet"),
        *("network=bag_of_tokens", "data.vocab_size=300"),
    )

    assert [field["name"] for field in record["inputs"]] == ["0/tokens", "1/tokens"]
    assert (tmp_path / "network" / "1-tokenizer.json").is_file()
    assert_example_is_reproduced(tmp_path, record)
    assert_same_predictions(tmp_path, path, "probability")


def test_members_of_tables_have_columns_and_scales_each(tmp_path):
    random = np.random.default_rng(0)
    rows = [f"{random.normal():.4f},{'xyz'[n % 3]},{1e6 + random.normal():.5f}" for n in range(90)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["a,b,price", *rows]))
    record = exported_ensemble(
        tmp_path,
        *("data=table", f"data.path={path}", "data.target=price", "task=regression"),
        "network=table_mlp",
    )

    assert_example_is_reproduced(tmp_path, record)
    assert_same_predictions(tmp_path, path, "value")
    assert json.loads((tmp_path / "network" / "model.json").read_text())["task"] == "regression"
    assert_half_is_measured(tmp_path, "test/rmse")

"""Every kind of data is cross-validated, and its ensemble is evaluated."""

import csv
import math

import pytest

from leyden.checkpoints.io import load_checkpoint
from leyden.config.compose import compose, freeze
from leyden.runs.fixed_keys import claim
from leyden.runs.folder import RunFolder
from leyden.workflows.assembly import build_data
from leyden.workflows.crossval import crossval, ensemble_config
from leyden.workflows.evaluate import evaluate

pytestmark = pytest.mark.slow

NETWORKS = {
    frozenset({"input_shape", "num_outputs"}): ["network=linear"],
    frozenset({"num_numbers", "cardinalities", "num_outputs"}): ["network=table_mlp"],
    frozenset({"vocab_size", "num_outputs"}): ["network=bag_mlp"],
    frozenset({"vocab_size"}): ["network=causal_transformer", "network.depth=1"],
    frozenset({"num_mels", "num_tokens"}): ["network=quartznet"],
}
"""A small network for each kind."""

QUICK = ("trainer.max_epochs=1", "logger=[]", "callbacks=[checkpoint]", "scheduler=constant")


def check_predictions(folder, config):
    """Compare the rows of oof.csv with those that the folds divide."""
    data = build_data(config)
    data.split_rows("test")
    rows = data.row_numbers("train")
    with (folder.path / "oof.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert [line["source"] for line in lines] == [data.cached.sources[row] for row in rows]
    assert [line["target"] for line in lines] == list(map(str, data.readable_targets(rows)))


def test_folds_make_an_ensemble_that_is_evaluated(kind, tmp_path, caplog):
    words = [*kind, *QUICK]
    data = build_data(freeze(compose(words)))
    data.prepare_data()
    data.setup()
    words += NETWORKS[frozenset(data.spec.network_sizes)]
    config = ensemble_config(freeze(compose(words)), folds=2)
    folder = RunFolder(tmp_path / "crossval")
    folder.path.mkdir()
    claim(folder, config)

    means = crossval(config, folder)

    assert math.isfinite(means["test/loss"])
    if kind[0] in ("data=docstrings", "data=text_corpus"):
        assert "There is no ensemble" in caplog.text
        assert not folder.best.exists()
        return
    if "data=mandarin_strings" not in kind:  # every fold of which has strings of its own
        check_predictions(folder, config)
    if "There is no ensemble" in caplog.text:
        assert "different tokens" in caplog.text
        return
    assert len(load_checkpoint(folder.best)["leyden"]["members"]) == 2
    assert math.isfinite(evaluate(str(folder.path))["test/loss"])

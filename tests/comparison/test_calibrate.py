import numpy as np
import pytest
import torch

from leyden.checkpoints.io import load_checkpoint
from leyden.checkpoints.record import CALIBRATION, KEY
from leyden.comparison.calibrate import calibrate
from leyden.comparison.calibration import calibration_error
from leyden.comparison.predictions import predict_held_out
from leyden.config.compose import compose, freeze
from leyden.errors import UserError
from leyden.runs.fixed_keys import claim
from leyden.runs.folder import RunFolder
from leyden.serving.loading import load
from leyden.workflows.evaluate import evaluate
from leyden.workflows.finished import load_run
from leyden.workflows.start import start

QUICK = ("trainer=cpu", "trainer.max_epochs=2", "logger=[]", "callbacks=[checkpoint]")


def trained(path, *words):
    config, folder = freeze(compose([*QUICK, *words])), RunFolder(path)
    path.mkdir()
    claim(folder, config)
    start(config, folder)
    return str(path)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Give a table of two classes that overlap, of which the second is rare."""
    random = np.random.default_rng(0)
    rare = random.random(600) < 0.2
    columns = random.normal(rare, 1), random.normal(size=600), np.where(rare, "yes", "no")
    file = tmp_path_factory.mktemp("table") / "table.csv"
    file.write_text(
        "\n".join(["x,z,y", *(f"{x:.4f},{z:.4f},{y}" for x, z, y in zip(*columns, strict=True))])
    )
    return file


@pytest.fixture
def run(table, tmp_path):
    where = (f"data.path={table}", f"data.cache_dir={tmp_path}", "data.splitter.val_fraction=0.4")
    return trained(tmp_path / "run", "data=table", "data.target=y", "network=table_mlp", *where)


def held_out_error(run, *, calibrated):
    found = predict_held_out(load_run(run, calibrated=calibrated))
    return calibration_error(found.probabilities, found.targets)


def test_probabilities_are_calibrated_and_the_loss_is_that_of_the_logits(tmp_path):
    run = trained(tmp_path / "run", "network=mlp", "network.hidden_widths=[32]")
    before = evaluate(run)
    report = calibrate(run)
    assert held_out_error(run, calibrated=False) == report["calibration_error_before"]
    assert held_out_error(run, calibrated=True) == pytest.approx(report["calibration_error"])
    assert report["calibration_error"] < 0.5 * report["calibration_error_before"]
    after = evaluate(run)
    assert (after["test/loss"], after["test/accuracy"]) == pytest.approx(
        (before["test/loss"], before["test/accuracy"])
    )


def test_calibrating_again_gives_the_same_temperature(run):
    assert calibrate(run) == calibrate(run)


def test_a_threshold_decides_what_is_predicted_and_measured(run, table):
    plain = evaluate(run)
    report = calibrate(run, threshold="balanced_accuracy")
    chosen = evaluate(run)
    assert chosen["test/auroc"] == pytest.approx(plain["test/auroc"], abs=1e-5)
    assert chosen["test/f1"] != plain["test/f1"]
    rows = load(run).predict([str(table)])
    yes = [row["class"] == "yes" for row in rows]
    assert 0.05 < np.mean(yes) < 0.95
    probability = [
        row["probability"] if y else 1 - row["probability"]
        for row, y in zip(rows, yes, strict=True)
    ]
    assert yes == [p >= report["threshold"] for p in probability]


def test_the_checkpoint_stays_safe_and_other_numbers_in_it_are_refused(run):
    calibrate(run)
    file = run + "/checkpoints/best.ckpt"
    checkpoint = torch.load(file, weights_only=True)
    assert checkpoint[KEY][CALIBRATION]["temperature"] > 0
    checkpoint[KEY][CALIBRATION]["temperature"] = -1.0
    torch.save(checkpoint, file)
    with pytest.raises(UserError, match=r"best\.ckpt"):
        load_run(run)


def test_a_threshold_needs_two_classes(tmp_path):
    run = trained(tmp_path / "run", "network=mlp", "network.hidden_widths=[8]")
    with pytest.raises(UserError, match="decides between two classes, but the run has 10"):
        calibrate(run, threshold="f1")
    assert CALIBRATION not in load_checkpoint(RunFolder(tmp_path / "run").best)[KEY]


def test_numbers_are_refused(table, tmp_path):
    where = (f"data.path={table}", f"data.cache_dir={tmp_path}", "data.target=x")
    run = trained(tmp_path / "run", "data=table", "task=regression", "network=table_mlp", *where)
    with pytest.raises(UserError, match="predicts no probability"):
        calibrate(run)


def test_an_empty_metric_is_refused_and_nothing_changed(run):
    report = calibrate(run, threshold="f1")
    with pytest.raises(UserError, match="cannot be chosen by ''"):
        calibrate(run, threshold="")
    assert (
        load_checkpoint(load_run(run).checkpoint)[KEY][CALIBRATION]["threshold"]
        == (report["threshold"])
    )

"""The tested weights are the trained ones, and runs warn about what was not measured."""

import csv
import json
import math

import pytest
import torch

from leyden.checkpoints.io import load_checkpoint
from leyden.config.check import check
from leyden.config.compose import compose, freeze
from leyden.errors import UserError
from leyden.runs.folder import RunFolder
from leyden.workflows.evaluate import evaluate
from leyden.workflows.train import train

SMALL = ("network=mlp", "network.hidden_widths=[16]", "trainer=cpu")
QUICK = (*SMALL, "trainer.max_epochs=3")
SWA = ("callbacks=[default,swa]", "callbacks.swa.swa_epoch_start=2")


@pytest.fixture
def run(tmp_path):
    """Make a function that trains in a folder, and returns the folder and the final metrics."""

    def trained(*words):
        config = freeze(compose([*QUICK, *words]))
        check(config)
        folder = RunFolder(tmp_path / "run")
        folder.path.mkdir()
        return folder, train(config, folder)

    return trained


def rows_of(folder):
    with (folder.path / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def warnings_of(folder):
    return " ".join(folder.read_status().get("warnings", []))


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("+trainer.val_check_interval=0.5",),
        ("+trainer.val_check_interval=7",),
        ("+trainer.val_check_interval=50", "trainer.check_val_every_n_epoch=null"),
        ("trainer.check_val_every_n_epoch=2",),
        ("+trainer.val_check_interval=0.3", "callbacks.checkpoint.save_top_k=3"),
        ("callbacks=[default,ema]", "+trainer.val_check_interval=0.5"),
        ("callbacks=[default,ema]", "+callbacks.ema.update_starting_at_epoch=1"),
        SWA,
        (*SWA, "+trainer.val_check_interval=0.4", "network.norm=batch"),
        ("monitor=val/accuracy", "+trainer.val_check_interval=0.5"),
        ("monitor=train/loss", "trainer.check_val_every_n_epoch=2"),
        ("monitor=train/loss", "trainer.check_val_every_n_epoch=9", "callbacks=[default,ema]"),
        ("callbacks=[checkpoint,ema]",),
    ],
    ids=" ".join,
)
def test_the_best_checkpoint_holds_the_weights_that_were_validated(run, words):
    folder, metrics = run(*words)

    again = evaluate(str(folder.path))

    assert again == pytest.approx({name: metrics[name] for name in again}, rel=1e-6)
    assert {name.partition("/")[0] for name in again} == {"val", "test"}


def test_the_average_is_tested(run):
    folder, _ = run(*SWA, "network.norm=batch")

    best = load_checkpoint(folder.best)

    weights = [load_checkpoint(path)["state_dict"] for path in (folder.best, folder.last)]
    assert best["averaging_state"]["n_averaged"] > 0
    own = best["current_model_state"]
    assert any(not torch.equal(value, own[name]) for name, value in weights[0].items())


def test_only_averages_compete_once_there_is_one(run):
    # A loss that rises: the first epoch would be the best, and is not averaged.
    folder, _ = run(*SWA, "+optimizer.maximize=true")

    assert load_checkpoint(folder.best)["epoch"] == 1
    assert [row["best/val/loss"] == row["val/loss"] for row in rows_of(folder)][:2] == [True, True]


def test_an_epoch_that_is_cut_short_shows_its_own_loss_and_no_older_validation(run):
    folder, _ = run("trainer.max_epochs=-1", "trainer.max_steps=50")

    first, second = rows_of(folder)
    assert second["train/loss"] not in ("", first["train/loss"])
    assert second["val/loss"] == ""
    ended = f"ended at step 50, but was last validated at step {first['step']}"
    assert ended in warnings_of(folder)


@pytest.mark.parametrize(
    "words",
    [
        ("trainer.check_val_every_n_epoch=9",),
        ("trainer.max_epochs=-1", "trainer.max_steps=20"),
        ("callbacks=[progress]",),
        ("callbacks=[]",),
    ],
)
def test_a_run_without_a_best_checkpoint_tests_its_last_weights_and_says_so(run, words, caplog):
    folder, metrics = run(*words)

    assert {"val/loss", "test/loss", "test/accuracy"} <= set(metrics)
    assert "no best checkpoint" in warnings_of(folder)
    assert "no best checkpoint" in caplog.text
    lost = "has no checkpoint" in warnings_of(folder)
    assert lost == (not folder.last.exists())


def test_a_complete_run_has_no_warnings(run):
    folder, _ = run()

    assert "warnings" not in json.loads(folder.status.read_text())


def test_a_run_may_skip_its_test(run):
    folder, metrics = run("trainer.limit_test_batches=0")

    assert {name.partition("/")[0] for name in metrics} == {"train", "val"}
    assert "was not tested" in warnings_of(folder)
    assert set(evaluate(str(folder.path))) == {name for name in metrics if "val" in name}


def test_a_run_may_skip_its_validation_if_nothing_depends_on_it(run):
    folder, metrics = run("trainer.limit_val_batches=0", "monitor=train/loss")

    assert {name.partition("/")[0] for name in metrics} == {"train", "test"}
    assert load_checkpoint(folder.best)["epoch"] == 2
    assert "was not validated" in warnings_of(folder)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("trainer.limit_val_batches=0", "val/loss is not measured"),
        ("trainer.limit_train_batches=0", "limit_train_batches=0 trains nothing"),
        ("trainer.max_epochs=0", "max_epochs=0 trains nothing"),
        ("trainer.max_steps=0", "max_steps=0 trains nothing"),
        ("trainer.max_time=00:00:00:00", "Nothing was trained: .*max_time=00:00:00:00"),
        ("monitor=val/acuracy", "Did you mean 'val/accuracy'"),
        ("mode=max", "contradicts monitor=val/loss"),
        ("optimizer.lr=-1", "optimizer: Invalid learning rate"),
        ("optimizer.betas=[2,0.9]", "optimizer: Invalid beta"),
        ("+optimizer.foreach=true", "optimizer: "),
        ("callbacks=[default,ema,swa]", "Only one average"),
        (
            "+callbacks.tuning={_target_: lightning.pytorch.callbacks.BackboneFinetuning}",
            "BackboneFinetuning needs a module with a `backbone`",
        ),
    ],
)
def test_impossible_settings_are_refused_before_training(run, tmp_path, word, message):
    with pytest.raises(UserError, match=message):
        run(word)

    assert not (tmp_path / "run" / "metrics.csv").exists()


@pytest.mark.parametrize("schedule", ["one_cycle", "plateau"])
def test_monitoring_the_accuracy_keeps_the_best_epoch(run, schedule):
    folder, metrics = run("monitor=val/accuracy", f"scheduler={schedule}", "optimizer.lr=0.0005")

    accuracies = [float(row["val/accuracy"]) for row in rows_of(folder)]
    assert accuracies[0] < max(accuracies) == metrics["val/accuracy"]
    assert float(rows_of(folder)[-1]["best/val/accuracy"]) == max(accuracies)


def test_early_stopping_follows_the_mode_of_the_metric(run):
    folder, _ = run("monitor=val/accuracy", "callbacks.early_stopping.patience=1")

    assert len(rows_of(folder)) == 3  # an accuracy that rises


def test_a_plateau_schedule_counts_validated_epochs(run):
    words = ("scheduler=plateau", "scheduler.patience=0", "trainer.check_val_every_n_epoch=2")
    folder, _ = run(*words, "trainer.max_epochs=4")

    assert len({row["lr"] for row in rows_of(folder)}) == 1  # of a loss that falls


@pytest.mark.parametrize("precision", ["64-true", "bf16-true"])
@pytest.mark.parametrize("word", ["task/mix=none", "task/mix=mixup", "task.class_weights=balanced"])
def test_every_precision_learns(run, precision, word):
    folder, metrics = run(f"trainer.precision={precision}", word)

    assert metrics["test/accuracy"] > 0.5
    assert evaluate(str(folder.path))["test/accuracy"] == metrics["test/accuracy"]


def test_undefined_metrics_are_null_in_the_file_and_nan_when_read(run, monkeypatch):
    monkeypatch.setattr("leyden.tasks.metrics.ClassAUROC.compute", lambda _: torch.tensor(math.nan))

    folder, _ = run("callbacks.early_stopping.patience=1", "monitor=val/auroc")

    assert json.loads(folder.metrics.read_text())["test/auroc"] is None
    assert math.isnan(folder.read_metrics()["test/auroc"])
    assert "no best checkpoint" in warnings_of(folder)

"""``leyden train``: what a run writes, how it is continued, and what is refused."""

import csv
import json
import math
import os
import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from leyden.cli.train import metrics_table
from leyden.config.compose import load
from leyden.runs.folder import RunFolder

QUICK = ("network=linear", "trainer.max_epochs=2", "callbacks.early_stopping=null")

STEPS = 40
"""Batches of 32 in an epoch of the digits."""


def history(run):
    with (run / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def checkpoint(run, name="last"):
    return torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)


def same_weights(one, other):
    left, right = one["state_dict"], other["state_dict"]
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def status(run):
    return json.loads((run / "status.json").read_text())


def only_run(folder, name="digits"):
    (run,) = (folder / "runs" / name).iterdir()
    return run


def test_a_run_reads_its_config_once(leyden, monkeypatch):
    read, load_file = Counter(), OmegaConf.load
    monkeypatch.setattr(
        OmegaConf, "load", lambda file: (read.update([Path(file.name).name]), load_file(file))[1]
    )

    assert leyden("train", "trainer=debug", "network=linear").code == 0

    assert read["train.yaml"] == 1


def test_a_config_may_ask_for_a_sweep_itself(leyden, tmp_path):
    assert leyden("train", "hydra.mode=MULTIRUN", "trainer=debug", "network=linear").code == 0

    assert list(only_run(tmp_path).glob("*/metrics.json"))
    assert only_run(tmp_path).name.endswith("-sweep")


def test_history_has_one_row_per_epoch_and_a_column_per_metric(shared_run):
    rows = history(shared_run)

    assert [row["epoch"] for row in rows] == ["0", "1"]
    metrics = {f"val/{name}" for name in ("loss", "accuracy", "f1", "auroc")}
    assert {"epoch", "step", "lr", "train/loss", "best/val/loss", *metrics} == set(rows[0])
    assert all(value for row in rows for value in row.values())


def test_final_metrics_are_those_of_the_best_epoch_and_of_the_test(shared_run):
    metrics = json.loads((shared_run / "metrics.json").read_text())
    best = min(history(shared_run), key=lambda row: float(row["val/loss"]))

    for name in ("train/loss", "val/loss", "val/accuracy"):
        assert metrics[name] == float(best[name])
    assert {f"test/{name}" for name in ("loss", "accuracy", "f1", "auroc")} < set(metrics)


def test_the_config_is_resolved_and_outlives_the_environment(shared_run):
    config = load(shared_run / "config.yaml")

    assert config.name == "shared"
    assert "hydra" not in config
    assert "${oc." not in (shared_run / "config.yaml").read_text()


def test_the_log_and_the_cleaning_report_are_kept(shared_run):
    log = (shared_run / "train.log").read_text()

    assert "epoch 2/2" in log
    assert re.search(r"^  metric +train +val +test$", log, re.M)
    assert re.search(r"^  accuracy +0\.\d{4}  0\.\d{4}$", log, re.M)
    report = json.loads((shared_run / "cleaning.json").read_text())
    assert report["rows_kept"] == 1797


def test_the_metrics_fit_a_terminal():
    names = ("loss", "a_metric_with_a_long_name", "error")
    metrics = {f"{split}/{name}": -12345.6789 for split in ("val", "test") for name in names}

    lines = metrics_table(metrics | {"train/loss": math.nan}).splitlines()

    assert lines[0].split() == ["metric", "train", "val", "test"]
    assert [line.split() for line in lines[2:]] == [
        ["error", "-12345.6789", "-12345.6789"],
        ["loss", "nan", "-12345.6789", "-12345.6789"],
    ]
    assert max(map(len, lines)) <= 80


def test_status_records_when_and_how_a_run_ended(shared_run):
    found = status(shared_run)

    assert found["state"] == "finished"
    assert found["error"] is None
    assert found["started"] <= found["ended"]


def test_a_checkpoint_records_where_it_came_from(shared_run):
    record = checkpoint(shared_run, "best")["leyden"]

    assert record["config"]["name"] == "shared"
    assert record["versions"]["torch"]
    assert record["data_fingerprint"]
    assert "network=linear" in record["command"]
    assert record["data"]["class_names"] == [str(digit) for digit in range(10)]


def test_tensorboard_has_hyperparameters_with_real_metrics(shared_run):
    metrics = json.loads((shared_run / "metrics.json").read_text())
    events = EventAccumulator(str(shared_run))
    events.Reload()

    values = {}
    for summary in events.summary_metadata.values():
        if summary.plugin_data.plugin_name == "hparams":
            start = HParamsPluginData.FromString(summary.plugin_data.content).session_start_info
            values |= dict(start.hparams)
    assert set(values) == {"network", "trainer.max_epochs", "name", "seed"}
    assert values["network"].string_value == "linear"
    final = events.Scalars("final/test/accuracy")[-1].value
    assert final == pytest.approx(metrics["test/accuracy"])
    assert "network: linear" in (shared_run / "hparams.yaml").read_text()
    assert "hp_metric" not in events.Tags()["scalars"]
    assert [event.step for event in events.Scalars("val/loss")] == [STEPS - 1, 2 * STEPS - 1]


def test_last_is_the_last_epoch_though_the_best_was_earlier(leyden, tmp_path):
    done = leyden("train", *QUICK, "+optimizer.maximize=true")  # a loss that rises

    assert done.code == 0, done.err
    run = only_run(tmp_path)
    assert checkpoint(run, "best")["epoch"] == 0
    assert checkpoint(run, "last")["epoch"] == 1
    recorded = json.loads((run / "metrics.json").read_text())
    assert recorded["val/loss"] == float(history(run)[0]["val/loss"])


@pytest.mark.usefixtures("own_run")
def test_resume_auto_starts_a_run_if_none_is_unfinished(leyden, tmp_path):
    config = ("network=linear", "trainer.max_epochs=2", "name=shared")

    assert leyden("train", *config, "resume=auto").code == 0

    assert len(list((tmp_path / "runs" / "shared").iterdir())) == 2


def test_resume_auto_continues_a_run_of_the_same_config(leyden, own_run, tmp_path):
    (own_run / "status.json").write_text('{"state": "running"}')
    config = ("network=linear", "trainer.max_epochs=2", "name=shared")

    assert leyden("train", *config, "seed=1", "resume=auto").code == 0
    assert len(list((tmp_path / "runs" / "shared").iterdir())) == 2
    assert status(own_run)["state"] == "running"

    assert leyden("train", *config, "resume=auto").code == 0
    assert len(list((tmp_path / "runs" / "shared").iterdir())) == 2
    assert status(own_run)["state"] == "finished"


def test_a_run_is_continued_with_the_cache_of_the_command(leyden, tmp_path):
    words = (*QUICK, "data.cache_dir=here", "name=cached", "resume=auto")
    assert leyden("train", *words).code == 0
    run = only_run(tmp_path, "cached")
    (run / "status.json").write_text('{"state": "interrupted"}')
    shutil.rmtree(tmp_path / "here")

    assert leyden("train", *words).code == 0

    assert only_run(tmp_path, "cached") == run
    assert list((tmp_path / "here").iterdir())


@pytest.mark.slow
def test_a_sweep_continues_unfinished_jobs_of_another(leyden, tmp_path):
    words = ("train", "-m", *QUICK, "optimizer.lr=0.01,0.02", "resume=auto")
    assert leyden(*words, "trainer.max_epochs=1").code == 0
    first = only_run(tmp_path)
    jobs = [first / "0_optimizer.lr=0.01", first / "1_optimizer.lr=0.02"]
    longer = jobs[1] / "config.yaml"
    longer.write_text(longer.read_text().replace("max_epochs: 1", "max_epochs: 2"))
    (jobs[1] / "status.json").write_text('{"state": "interrupted"}')

    done = leyden(*words, "trainer.max_epochs=2")

    assert done.code == 0, done.err
    (second,) = (path for path in (tmp_path / "runs" / "digits").iterdir() if path != first)
    assert [len(history(job)) for job in jobs] == [1, 2]
    assert status(jobs[1])["state"] == "finished"
    assert f"after step {STEPS}" in (jobs[1] / "train.log").read_text()
    assert len(history(second / jobs[0].name)) == 2
    assert "continuing" in (second / jobs[1].name / "train.log").read_text()
    assert not (second / jobs[1].name / "metrics.csv").exists()


@pytest.mark.slow
def test_a_sweep_does_not_repeat_jobs_that_another_finished(leyden, tmp_path):
    words = ("train", "-m", *QUICK, "trainer.max_epochs=1", "resume=auto")
    assert leyden(*words, "seed=0").code == 0
    first = only_run(tmp_path)

    done = leyden(*words, "seed=0,1")

    assert done.code == 0, done.err
    (second,) = (path for path in (tmp_path / "runs" / "digits").iterdir() if path != first)
    assert f"finished before: {first / '0'}" in (second / "0_seed=0" / "train.log").read_text()
    assert not (second / "0_seed=0" / "metrics.csv").exists()
    assert status(second / "1_seed=1")["state"] == "finished"


def test_a_run_killed_before_its_first_checkpoint_starts_over(leyden, own_run, shared_run):
    shutil.rmtree(own_run / "checkpoints")
    for name in ("metrics.csv", "metrics.json"):
        (own_run / name).unlink()
    (own_run / "status.json").write_text('{"state": "running"}')

    done = leyden("train", f"run={own_run}")

    assert done.code == 0, done.err
    assert history(own_run) == history(shared_run)
    assert same_weights(checkpoint(own_run), checkpoint(shared_run))


def test_a_finished_run_does_not_change(leyden, own_run, shared_run):
    done = leyden("train", f"run={own_run}")

    assert done.code == 0, done.err
    assert history(own_run) == history(shared_run)
    assert (own_run / "metrics.json").read_text() == (shared_run / "metrics.json").read_text()


def test_a_finished_run_is_extended(leyden, own_run, shared_run):
    done = leyden("train", f"run={own_run}", "trainer.max_epochs=4")

    assert done.code == 0, done.err
    rows = history(own_run)
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert rows[:2] == history(shared_run)
    assert checkpoint(own_run)["epoch"] == 3
    assert load(own_run / "config.yaml").trainer.max_epochs == 4


def test_the_best_checkpoint_survives_a_resume_in_a_moved_folder(leyden, own_run):
    last = own_run / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    content["callbacks"]["Checkpoints"]["kept"] = [[0.001, 0, STEPS]]
    torch.save(content, last)
    best = (own_run / "checkpoints" / "best.ckpt").read_bytes()

    done = leyden("train", f"run={own_run}", "trainer.max_epochs=3")

    assert done.code == 0, done.err
    assert (own_run / "checkpoints" / "best.ckpt").read_bytes() == best


def test_a_second_process_on_one_run_is_refused(leyden, own_run):
    before = (own_run / "config.yaml").read_text()

    with RunFolder(own_run).held():
        done = leyden("train", f"run={own_run}", "trainer.max_epochs=9")

    assert done.code == 2
    assert "is being trained by another process" in done.err
    assert status(own_run)["state"] == "finished"
    assert (own_run / "config.yaml").read_text() == before


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("trainer.max_epochs=many", ["expected an int", "the override trainer.max_epochs=many"]),
        ("trainer.epochs=3", ["unknown key", "'trainer.max_epochs'"]),
        ("optimizer=adamm", ["optimizer has no option 'adamm'", "'adam'"]),
        ("trainer.max_epochs=3,4", ["several values"]),
        ("debug=smoke", ["conf/debug/"]),
    ],
)
def test_wrong_overrides_of_a_run_are_refused(override, expected, leyden, own_run):
    before = (own_run / "config.yaml").read_text()

    done = leyden("train", f"run={own_run}", override)

    assert done.code == 2
    assert [text for text in expected if text not in done.err] == []
    assert (own_run / "config.yaml").read_text() == before
    assert status(own_run)["state"] == "finished"


def test_a_wrong_value_in_a_runs_own_file_names_the_file(leyden, own_run):
    file = own_run / "config.yaml"
    file.write_text(file.read_text().replace("max_epochs: 2", "max_epochs: many"))

    done = leyden("train", f"run={own_run}")

    assert done.code == 2
    assert "trainer.max_epochs: expected an int" in done.err
    assert f"Set by {file}" in done.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["monitor=val/los"], "monitor=val/los is not measured. Did you mean 'val/loss'"),
        (
            ["monitor=val/los", "mode=min"],
            "monitor=val/los is not measured. Did you mean 'val/loss'",
        ),
        (["trainer.precision=8"], "trainer: Precision 8 is invalid"),
        (["network=cnn", "network.channels=[0]"], "network: "),
    ],
)
def test_a_run_that_fails_before_training_says_why_and_leaves_no_folder(
    words, expected, leyden, tmp_path
):
    done = leyden("train", *QUICK, *words)

    assert done.code == 2, done.err
    assert expected in done.err
    assert not list(tmp_path.glob("runs/*"))


def test_a_folder_that_held_something_stays_if_a_run_in_it_fails(leyden, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").touch()

    done = leyden("train", *QUICK, "network=cnn", "network.channels=[0]", "hydra.run.dir=mine")

    assert done.code == 2, done.err
    assert (tmp_path / "mine/notes.txt").is_file()
    assert status(tmp_path / "mine")["state"] == "failed"


def test_a_failed_run_can_be_fixed_and_continued(leyden, tmp_path):
    words = ("monitor=val/los", "mode=min", "callbacks.checkpoint.save_every_steps=1")
    assert leyden("train", *QUICK, *words).code == 2
    run = only_run(tmp_path)
    assert status(run)["state"] == "failed"
    assert status(run)["error"]

    done = leyden("train", f"run={run}", "monitor=val/loss", "mode=null")

    assert done.code == 0, done.err
    assert status(run)["state"] == "finished"
    assert status(run)["error"] is None


def test_a_run_needs_no_logger_and_no_callback(leyden, tmp_path):
    done = leyden("train", "network=linear", "trainer.max_epochs=1", "logger=null", "~callbacks")

    assert done.code == 0, done.err
    run = only_run(tmp_path)
    assert "val/accuracy" in json.loads((run / "metrics.json").read_text())
    assert "tensorboard" not in done.out
    evaluated = leyden("evaluate", f"run={run}")
    assert evaluated.code == 2
    assert "was trained without callbacks.checkpoint" in evaluated.err


@pytest.mark.parametrize("word", ["logger=[]", "logger=null", "~logger"])
def test_the_rate_is_monitored_only_for_a_logger(word, leyden, tmp_path):
    done = leyden("train", *QUICK, "trainer.max_epochs=1", word)

    assert done.code == 0, done.err
    assert not list(only_run(tmp_path).glob("events*"))


def test_no_schedule_is_a_constant_rate(leyden, tmp_path):
    assert leyden("train", *QUICK, "scheduler=null").code == 0

    assert {row["lr"] for row in history(only_run(tmp_path))} == {"0.003"}


@pytest.mark.parametrize(
    ("package", "words"),
    [
        ("mlflow", ["logger=[mlflow]"]),
        ("wandb", ["logger=[wandb]", "logger.wandb.offline=true"]),
    ],
)
def test_every_logger_writes_below_the_runs(package, words, leyden_process, tmp_path):
    pytest.importorskip(package)

    done = leyden_process("train", *QUICK, *words, cwd=tmp_path)

    assert done.code == 0, done.err
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    run = next(path for path in (tmp_path / "runs/digits").iterdir() if path.is_dir())
    assert (run.parent / "mlflow.db").is_file() == (package == "mlflow")
    assert (run / "wandb").is_dir() == (package == "wandb")
    again = leyden_process("train", f"run={run}", "trainer.max_epochs=3", cwd=tmp_path)
    assert again.code == 0, again.err


def test_the_terminal_shows_times_and_the_log_file_loggers(leyden, own_run):
    done = leyden("train", f"run={own_run}/checkpoints/last.ckpt", "trainer.max_epochs=3")

    assert done.code == 0, done.err
    assert re.search(r"^\d\d:\d\d:\d\d epoch 3/3  ", done.out, re.MULTILINE)
    assert f"look at it: tensorboard --logdir {os.path.relpath(own_run)}" in done.out
    log = (own_run / "train.log").read_text()
    assert re.search(r"^\S+ \S+ INFO leyden\.callbacks\.progress: epoch 3/3  ", log, re.MULTILINE)
    assert [row["epoch"] for row in history(own_run)] == ["0", "1", "2"]


def test_a_checkpoint_outside_its_run_is_not_continued(leyden, shared_run, tmp_path):
    shutil.copy(shared_run / "checkpoints" / "last.ckpt", tmp_path / "last.ckpt")

    done = leyden("train", "run=last.ckpt")

    assert done.code == 2
    assert "outside a run folder" in done.err


def test_the_record_holds_the_whole_command(leyden_process, tmp_path):
    words = ("-m", *QUICK, "trainer.max_epochs=1", "seed=0,1", "resume=auto")

    assert leyden_process("train", *words, cwd=tmp_path).code == 0

    for job in ("0_seed=0", "1_seed=1"):
        provenance = json.loads((only_run(tmp_path) / job / "provenance.json").read_text())
        assert shlex.split(provenance["command"]) == ["leyden", "train", *words]


def test_a_bad_value_in_a_sweep_is_named_and_does_not_stop_other_jobs(leyden, tmp_path):
    done = leyden("train", "-m", *QUICK, "optimizer.lr=high,0.01")

    assert done.code == 2
    assert done.err.startswith(
        "leyden: 1 of 2 jobs did not finish; 0_optimizer.lr=high: optimizer.lr: expected a float"
    )
    assert "the override optimizer.lr=high" in done.err
    assert status(only_run(tmp_path) / "1_optimizer.lr=0.01")["state"] == "finished"


def test_overfitting_repeats_the_same_batches(leyden, tmp_path):
    words = ("network=mlp", "debug=overfit", "trainer.max_epochs=25", "loss.label_smoothing=0")

    done = leyden("train", *words, "data.batch_size=16", "optimizer.lr=0.01")

    assert done.code == 0, done.err
    assert float(history(only_run(tmp_path))[-1]["train/loss"]) < 0.05


@pytest.mark.parametrize("words", [["callbacks=[default,ema]"], ["task/mix=cutmix"]], ids=str)
def test_validation_in_training_is_what_evaluate_gives(words, leyden, tmp_path):
    assert leyden("train", *QUICK, "network=cnn", "network.channels=[8]", *words).code == 0
    run = only_run(tmp_path)

    done = leyden("evaluate", f"run={run}")

    recorded = json.loads((run / "metrics.json").read_text())
    measured = json.loads(done.out)
    assert measured == pytest.approx({name: recorded[name] for name in measured})


def test_a_run_is_repeated_to_the_bit_in_a_folder_of_its_own(leyden, own_run, tmp_path):
    before = (own_run / "checkpoints" / "last.ckpt").read_bytes()

    done = leyden("train", f"run={own_run}", "--rerun")

    assert done.code == 0, done.err
    (repeated,) = (path for path in (tmp_path / "runs" / "shared").iterdir() if path != own_run)
    assert (own_run / "checkpoints" / "last.ckpt").read_bytes() == before
    assert history(repeated) == history(own_run)
    weights = checkpoint(own_run)["state_dict"]
    for name, value in checkpoint(repeated)["state_dict"].items():
        assert torch.equal(value, weights[name]), name


def test_deterministic_allows_only_reproducible_operations(leyden):
    try:
        done = leyden("train", "network=cnn", "debug=smoke", "deterministic=true")
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(mode=False)

    assert done.code == 0, done.err


@pytest.mark.parametrize("command", ["evaluate", "predict"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {"_target_": "os.system", "command": "touch executed"}}, "is refused"),
        ({"optimizer": {"_target_": "torch.hub.load", "repo_or_dir": "a/b"}}, "is refused"),
        ({"name": "../../elsewhere"}, "leads out of the folder"),
        ({"data": {"name": "/elsewhere"}}, "leads out of the folder"),
    ],
)
def test_a_crafted_checkpoint_is_refused(leyden, own_run, tmp_path, command, change, message):
    best = own_run / "checkpoints" / "best.ckpt"
    content = torch.load(best, weights_only=True)
    for key, value in change.items():
        config = content["leyden"]["config"]
        config[key] = config[key] | value if key == "data" else value
    torch.save(content, best)

    done = leyden(command, f"run={own_run}", *(["input=x.png"] if command == "predict" else []))

    assert done.code == 2
    assert message in done.err
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("key", ["name", "data.name", "+callbacks.history.filename"])
def test_a_name_stays_in_its_folder(key, leyden, tmp_path):
    done = leyden("train", f"{key}=../elsewhere")

    assert done.code == 2
    assert "'../elsewhere' (str) leads out of the folder" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["optimizer.lr=0.1"], "optimizer.lr cannot be changed any more"),
        (["optimizer=sgd"], "the checkpoint holds the optimizer with its learning rate"),
        (["scheduler.pct_start=0.5"], "Expected 0.3, as in the run's config.yaml, got 0.5"),
        (["scheduler=cosine"], "the checkpoint holds the schedule"),
        (["data.splitter.test_fraction=0.3"], "fitted on the training split"),
        (["task.class_weights=balanced"], "the checkpoint holds the weights of the classes"),
        (["network=mlp"], "do not fit the network of the config"),
    ],
)
def test_keys_that_a_checkpoint_restores_cannot_be_changed(overrides, expected, leyden, own_run):
    before = (own_run / "config.yaml").read_text()

    done = leyden("train", f"run={own_run}", "trainer.max_epochs=3", *overrides)

    assert done.code == 2
    assert expected in done.err
    assert (own_run / "config.yaml").read_text() == before
    assert status(own_run)["state"] == "finished"


def test_keys_that_a_checkpoint_does_not_restore_can_be_changed(leyden, own_run):
    words = (
        "optimizer.lr=0.003",
        "data.batch_size=16",
        "data.augment=null",
        "monitor=val/accuracy",
    )

    done = leyden("train", f"run={own_run}", "trainer.max_epochs=3", *words, "mode=max")

    assert done.code == 0, done.err
    steps = [int(row["step"]) for row in history(own_run)]
    assert steps == [STEPS, 2 * STEPS, 4 * STEPS]
    assert checkpoint(own_run)["callbacks"]["Checkpoints"]["by"] == ["val/accuracy", "max"]
    assert checkpoint(own_run, "best")["epoch"] == 2


def test_a_schedule_that_would_have_ended_is_refused(leyden, own_run):
    done = leyden("train", f"run={own_run}", "trainer.max_epochs=3", "data.batch_size=128")

    assert done.code == 2
    assert f"{2 * STEPS} steps of its schedule, which now has only 30" in done.err


@pytest.mark.parametrize("override", ["seed=5", "loss.label_smoothing=0.3", "data.batch_size=8"])
def test_the_config_of_a_finished_run_is_that_of_its_metrics(override, leyden, own_run):
    before = (own_run / "config.yaml").read_text()

    done = leyden("train", f"run={own_run}", override)

    assert done.code == 2
    assert f"has finished, so {override.partition('=')[0]} cannot be changed any more" in done.err
    assert (own_run / "config.yaml").read_text() == before


def test_a_run_without_a_checkpoint_may_be_changed(leyden, own_run):
    shutil.rmtree(own_run / "checkpoints")

    done = leyden("train", f"run={own_run}", "optimizer.lr=0.01")

    assert done.code == 0, done.err
    assert load(own_run / "config.yaml").optimizer.lr == 0.01


def test_a_repeated_run_may_be_changed(leyden, own_run, tmp_path):
    words = ("optimizer.lr=0.01", "trainer.max_epochs=1", "--rerun")

    done = leyden("train", f"run={own_run}", *words)

    assert done.code == 0, done.err
    (repeated,) = (path for path in (tmp_path / "runs" / "shared").iterdir() if path != own_run)
    assert load(repeated / "config.yaml").optimizer.lr == 0.01


def test_a_run_that_stopped_early_continues_with_more_patience(leyden, tmp_path):
    early = "callbacks.early_stopping.patience"
    words = ("network=linear", "trainer.max_epochs=4")
    words += ("+optimizer.maximize=true",)  # a loss that rises
    assert leyden("train", *words, f"{early}=1").code == 0
    run = only_run(tmp_path)
    assert len(history(run)) == 2

    assert leyden("train", f"run={run}").code == 0
    assert len(history(run)) == 2
    assert leyden("train", f"run={run}", f"{early}=2").code == 0
    assert len(history(run)) == 3
    assert leyden("train", f"run={run}", "callbacks.early_stopping=null").code == 0
    assert len(history(run)) == 4


def test_data_cannot_change_within_a_run(leyden, own_run):
    last = own_run / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    content["leyden"]["data_fingerprint"] = "0123"
    torch.save(content, last)

    done = leyden("train", f"run={own_run}", "trainer.max_epochs=3")

    assert done.code == 2
    assert "The data have changed since the run was trained on them (fingerprint 0123" in done.err


MINE = ("train", *QUICK, "hydra.run.dir=mine")


def test_a_folder_belongs_to_one_config(leyden, tmp_path):
    assert leyden(*MINE, "trainer.max_epochs=1", "optimizer.lr=0.001").code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "mine").glob("*.[cjy]*")}

    done = leyden(*MINE, "trainer.max_epochs=1", "optimizer.lr=0.1", "seed=7")

    assert done.code == 2
    assert "mine holds a run of another config: optimizer.lr is 0.001 there, 0.1 here" in done.err
    assert "seed is 0 there, 7 here" in done.err
    assert {path: path.read_bytes() for path in before} == before


def files(run):
    return [(run / name).read_bytes() for name in ("config.yaml", "metrics.json")]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("trainer.max_epochs=3", "trainer.precision=nonsense"), 2),
        (("trainer.max_epochs=-1", "trainer.max_steps=7", "loss.label_smoothing=0.3"), 2),
        (("trainer.max_epochs=2", "trainer.max_time=00:01:00:00", "loss.label_smoothing=0.3"), 0),
        (("callbacks.early_stopping.patience=1", "loss.label_smoothing=0.3"), 0),
    ],
)
def test_a_config_that_trains_nothing_is_not_kept(words, code, leyden, own_run):
    before = files(own_run)

    done = leyden("train", f"run={own_run}", *words)

    assert done.code == code, done.err
    assert files(own_run) == before
    assert ("Nothing was trained" in done.out) == (code == 0)
    assert leyden("train", f"run={own_run}").code == 0


def test_metrics_do_not_outlive_their_config(leyden, own_run, monkeypatch):
    def cut_off(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("leyden.workflows.train._measure", cut_off)

    assert leyden("train", f"run={own_run}", "trainer.max_epochs=3").code == 130

    assert load(own_run / "config.yaml").trainer.max_epochs == 3
    assert not (own_run / "metrics.json").exists()


def test_ranks_are_not_launched_into_a_run_that_is_being_trained(leyden, own_run):
    before = files(own_run)
    words = ("trainer.max_epochs=3", "trainer.devices=2", "trainer.accelerator=cpu")

    with RunFolder(own_run).held():
        done = leyden("train", f"run={own_run}", *words)

    assert "is being trained by another process" in done.err
    assert files(own_run) == before


def test_a_finished_run_in_a_folder_of_its_own_is_not_repeated(leyden, tmp_path):
    assert leyden(*MINE).code == 0
    written = (tmp_path / "mine" / "checkpoints" / "last.ckpt").stat().st_mtime_ns

    done = leyden(*MINE, "data.cache_dir=elsewhere")  # which is no part of what a run learns

    assert done.code == 0, done.err
    assert f"finished before: {tmp_path / 'mine'}" in (tmp_path / "mine" / "train.log").read_text()
    assert (tmp_path / "mine" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == written


def test_an_unfinished_run_in_a_folder_of_its_own_is_continued(leyden, tmp_path):
    assert leyden(*MINE, "trainer.max_epochs=1").code == 0
    run = tmp_path / "mine"
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("max_epochs: 1", "max_epochs: 2"))
    (run / "status.json").write_text('{"state": "interrupted"}')

    done = leyden(*MINE)

    assert done.code == 0, done.err
    assert [row["epoch"] for row in history(run)] == ["0", "1"]
    assert f"after step {STEPS}" in (run / "train.log").read_text()
    assert status(run)["state"] == "finished"


@pytest.mark.slow
def test_a_second_sweep_in_a_folder_is_refused(leyden, tmp_path):
    sweep = ("train", "-m", *QUICK, "trainer.max_epochs=1", "hydra.sweep.dir=sweep")
    assert leyden(*sweep, "optimizer.lr=0.001,0.002").code == 0
    before = sorted((tmp_path / "sweep").rglob("*"))

    done = leyden(*sweep, "optimizer.lr=0.05,0.1")

    assert done.code == 2
    assert "'0.001,0.002'} there, {'optimizer.lr': '0.05,0.1'} here" in done.err
    assert sorted((tmp_path / "sweep").rglob("*")) == before


def test_jobs_of_a_sweep_do_not_share_a_folder(leyden, tmp_path):
    words = ("hydra.sweep.dir=sweep", "hydra.sweep.subdir=lr${optimizer.lr}")

    done = leyden("train", "-m", *QUICK, "trainer.max_epochs=1", *words, "seed=0,1")

    assert done.code == 2
    assert "seed is 0 there, 1 here" in done.err
    assert "hydra.sweep.subdir that depends on every swept key" in done.err
    assert load(tmp_path / "sweep" / "lr0.003" / "config.yaml").seed == 0


def test_checkpoints_without_a_config_are_not_continued(leyden, own_run):
    (own_run / "config.yaml").unlink()

    done = leyden("train", *QUICK, f"hydra.run.dir={own_run}")

    assert done.code == 2
    assert "holds checkpoints but no config.yaml" in done.err


@pytest.mark.parametrize("content", ["[1]", "3", '"x"', "null", "{", "[" * 100_000, "\udcff"])
def test_a_damaged_status_is_ignored(content, leyden, own_run):
    (own_run / "status.json").write_bytes(content.encode("utf-8", "surrogateescape"))

    assert leyden("train", f"run={own_run}").code == 0
    assert status(own_run)["state"] == "finished"

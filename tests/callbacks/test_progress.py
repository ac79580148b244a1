import logging
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from leyden.callbacks.progress import EpochProgress
from leyden.cli.logs import _shown_on
from leyden.ranks.environment import shows_progress


def trainer(**changes: Any) -> Any:
    usual = {"is_global_zero": True, "current_epoch": 1, "max_epochs": 3}
    usual |= {"num_training_batches": 50}
    usual |= {"callback_metrics": {"train/loss": 0.5, "val/loss": 0.25}}
    return SimpleNamespace(**usual | changes)


def test_each_epoch_logs_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        progress = EpochProgress()
        progress.on_validation_end(trainer(), None)
        progress.on_train_epoch_end(trainer(), None)
        progress.on_train_epoch_end(trainer(), None)

    # The second epoch was not validated: Lightning holds the value of the first.
    assert caplog.messages == [
        "epoch 2/3  train/loss 0.5000  val/loss 0.2500",
        "epoch 2/3  train/loss 0.5000",
    ]


def test_an_unlimited_run_shows_no_total(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        EpochProgress().on_train_epoch_end(trainer(max_epochs=-1), None)

    assert caplog.messages == ["epoch 2  train/loss 0.5000"]


def test_it_can_be_disabled_and_enabled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    caplog.set_level(logging.INFO)
    progress = EpochProgress()

    progress.disable()
    progress.on_train_epoch_start(trainer())
    progress.on_train_epoch_end(trainer(), None)
    assert progress.bar is None
    assert caplog.messages == []

    progress.enable()
    progress.on_train_epoch_end(trainer(), None)
    assert len(caplog.messages) == 1


def test_there_is_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    progress = EpochProgress()

    progress.on_train_epoch_start(trainer())
    progress.on_train_batch_end(trainer(), None, None, None, 19)

    assert progress.bar is None
    assert capsys.readouterr().err == ""


def test_the_bar_is_updated_at_the_refresh_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = EpochProgress(refresh_rate=20)
    progress.on_train_epoch_start(trainer())
    bar = progress.bar
    assert bar is not None

    seen = []
    for batch in range(50):
        progress.on_train_batch_end(trainer(), None, None, None, batch)
        seen.append(bar.n)
    progress.on_exception()

    assert (seen[18], seen[19], seen[38], seen[39], seen[49]) == (0, 20, 20, 40, 40)
    assert bar.total == 50
    assert progress.bar is None


def in_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)


def test_the_bar_shows_what_the_epoch_before_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    in_terminal(monkeypatch)
    measured = {"train/loss": 0.5, "val/loss": 0.25, "val/f1": 0.125}
    progress = EpochProgress(monitor="val/f1")

    progress.on_validation_end(trainer(), None)
    progress.on_train_epoch_end(trainer(callback_metrics=measured), None)
    progress.on_train_epoch_start(trainer(current_epoch=2))

    assert progress.bar is not None
    assert progress.bar.postfix == "train/loss 0.5000  val/f1 0.1250"
    assert "epoch 3/3" in capsys.readouterr().err
    progress.on_exception()


def test_an_evaluation_replaces_the_bar_of_the_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    in_terminal(monkeypatch)
    running = trainer(num_val_batches=[30])
    progress = EpochProgress(refresh_rate=10)
    progress.on_train_epoch_start(running)
    of_epoch = progress.bar

    for batch in range(15):
        progress.on_validation_batch_end(running, None, None, None, batch)

    bar = progress.bar
    assert of_epoch is not None
    assert bar is not None
    assert (bar.desc, bar.n, bar.total) == ("validation", 10, 30)
    assert of_epoch.disable  # closed
    progress.on_validation_end(running, None)
    assert progress.bar is None
    progress.on_train_batch_end(running, None, None, None, 29)
    assert (progress.bar.desc, progress.bar.n) == ("epoch 2/3", 30)
    progress.on_exception()


def test_an_iterable_of_unknown_length_has_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    in_terminal(monkeypatch)
    progress = EpochProgress()

    progress.on_train_epoch_start(trainer(num_training_batches=float("inf")))

    assert progress.bar is not None
    assert progress.bar.total is None
    progress.on_exception()


@pytest.mark.parametrize("terminal", [True, False])
def test_log_lines_are_written_above_the_bar(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    logger = logging.Logger("lines")
    logger.addHandler(_shown_on(sys.stderr))
    progress = EpochProgress()
    progress.on_train_epoch_start(trainer())

    logger.warning("a line")
    progress.on_exception()

    *_, line = capsys.readouterr().err.partition("a line")[0].split("\r")
    assert "epoch" not in line  # the bar was cleared first
    assert line.endswith("WARNING: ")


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {}])
def test_only_the_first_rank_shows_progress(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    in_terminal(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert shows_progress() == (not variables)

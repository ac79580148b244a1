import logging
from types import SimpleNamespace
from typing import Any

import pytest

from leyden.callbacks.progress import EpochProgress


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

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from leyden.callbacks.history import MetricHistory, stage_metrics
from leyden.errors import UserError


class Logger:
    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, float], int]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.logged.append((metrics, step))


def trainer(folder: Path, epoch: int = 0, **metrics: float) -> Any:
    parameter = torch.nn.Parameter(torch.zeros(1))
    return SimpleNamespace(
        current_epoch=epoch,
        global_step=10 * (epoch + 1),
        optimizers=[torch.optim.SGD([parameter], lr=0.5)],
        callback_metrics={name.replace("_", "/", 1): v for name, v in metrics.items()},
        loggers=[Logger()],
        is_global_zero=True,
        sanity_checking=False,
        check_val_every_n_epoch=1,
        default_root_dir=str(folder),
    )


def history(mode: str = "min") -> MetricHistory:
    return MetricHistory(monitor="val/loss", mode=mode)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_an_epoch_is_a_row(tmp_path: Path) -> None:
    callback = history()

    callback.on_train_epoch_end(trainer(tmp_path, 0, val_loss=2.0, lr=9.0), None)
    callback.on_train_epoch_end(trainer(tmp_path, 1, val_loss=3.0, train_loss=1.0), None)

    first, second = rows_of(tmp_path)
    assert list(first) == ["epoch", "step", "lr", "best/val/loss", "train/loss", "val/loss"]
    assert first["train/loss"] == ""
    expected = {"epoch": "1", "step": "20", "lr": "0.5", "val/loss": "3.0", "best/val/loss": "2.0"}
    assert second == expected | {"train/loss": "1.0"}


def test_an_epoch_that_was_not_validated_shows_no_older_value(tmp_path: Path) -> None:
    callback = history()
    second = trainer(tmp_path, 1, train_loss=1.0, val_loss=2.0)
    second.check_val_every_n_epoch = 3
    third = trainer(tmp_path, 2, train_loss=1.0, val_loss=1.0)
    third.check_val_every_n_epoch = 3

    callback.on_train_epoch_end(second, None)
    callback.on_train_epoch_end(third, None)

    assert [row["val/loss"] for row in rows_of(tmp_path)] == ["", "1.0"]


@pytest.mark.parametrize(("mode", "best"), [("min", 1.0), ("max", 3.0)])
def test_the_best_value_survives_a_resume(mode: str, best: float, tmp_path: Path) -> None:
    before = history(mode)
    assert before.best is None
    for epoch, loss in enumerate((1.0, 3.0, 2.0)):
        before.on_train_epoch_end(trainer(tmp_path, epoch, val_loss=loss), None)

    after = history(mode)
    after.load_state_dict(before.state_dict())
    continued = trainer(tmp_path, 3, val_loss=2.5)
    after.on_train_epoch_end(continued, None)

    assert after.best == best
    assert continued.loggers[0].logged == [({"best/val/loss": best}, 40)]
    assert [row["epoch"] for row in rows_of(tmp_path)] == ["0", "1", "2", "3"]


def test_rows_that_a_crash_made_obsolete_are_written_over(tmp_path: Path) -> None:
    crashed = history()
    crashed.on_train_epoch_end(trainer(tmp_path, 0, val_loss=1.0), None)
    saved = history()
    saved.load_state_dict(crashed.state_dict())
    crashed.on_train_epoch_end(trainer(tmp_path, 1, val_loss=9.0), None)

    saved.on_train_epoch_end(trainer(tmp_path, 1, val_loss=0.5), None)

    assert [row["val/loss"] for row in rows_of(tmp_path)] == ["1.0", "0.5"]


def test_only_the_first_rank_writes(tmp_path: Path) -> None:
    other = trainer(tmp_path, val_loss=1.0)
    other.is_global_zero = False

    history().on_train_epoch_end(other, None)

    assert list(tmp_path.iterdir()) == []


def test_monitoring_what_nobody_measures_is_refused(tmp_path: Path) -> None:
    history().on_validation_end(trainer(tmp_path, val_loss=1.0), None)
    sanity = trainer(tmp_path)
    sanity.sanity_checking = True
    history().on_validation_end(sanity, None)

    with pytest.raises(UserError, match=r"monitor=val/loss is not measured.*'val/los'"):
        history().on_validation_end(trainer(tmp_path, val_los=1.0), None)


def test_metrics_of_the_stages_alone_are_picked() -> None:
    metrics = {"train/loss": torch.tensor(1.0), "lr-Adam": torch.tensor(2.0), "epoch": 3}

    assert stage_metrics(metrics) == {"train/loss": 1.0}

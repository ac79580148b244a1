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
        default_root_dir=str(folder),
    )


def end_epoch(callback: MetricHistory, ended: Any, *, validated: bool = True) -> None:
    if validated:
        callback.on_validation_end(ended, None)
    callback.on_train_epoch_end(ended, None)


def history(mode: str = "min") -> MetricHistory:
    return MetricHistory(monitor="val/loss", mode=mode)


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_epoch_is_one_row(tmp_path: Path) -> None:
    callback = history()

    end_epoch(callback, trainer(tmp_path, 0, val_loss=2.0, lr=9.0))
    end_epoch(callback, trainer(tmp_path, 1, val_loss=3.0, train_loss=1.0))

    first, second = rows_of(tmp_path)
    assert list(first) == ["epoch", "step", "lr", "best/val/loss", "train/loss", "val/loss"]
    assert first["train/loss"] == ""
    expected = {"epoch": "1", "step": "20", "lr": "0.5", "val/loss": "3.0", "best/val/loss": "2.0"}
    assert second == expected | {"train/loss": "1.0"}


def test_an_epoch_that_was_not_validated_shows_no_older_value(tmp_path: Path) -> None:
    callback = history()
    end_epoch(callback, trainer(tmp_path, 0, train_loss=1.0, val_loss=2.0))

    end_epoch(callback, trainer(tmp_path, 1, train_loss=0.5, val_loss=2.0), validated=False)

    assert [row["val/loss"] for row in rows_of(tmp_path)] == ["2.0", ""]
    assert [row["train/loss"] for row in rows_of(tmp_path)] == ["1.0", "0.5"]


def test_every_validation_within_an_epoch_may_be_the_best(tmp_path: Path) -> None:
    callback = history()

    callback.on_validation_end(trainer(tmp_path, 0, val_loss=1.0), None)
    end_epoch(callback, trainer(tmp_path, 0, val_loss=2.0))

    (row,) = rows_of(tmp_path)
    assert (row["best/val/loss"], row["val/loss"]) == ("1.0", "2.0")


def test_nan_is_reported_and_never_the_best(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    callback = history()
    for epoch, loss in enumerate((float("nan"), 2.0, float("nan"))):
        end_epoch(callback, trainer(tmp_path, epoch, val_loss=loss))

    assert callback.best == 2.0
    assert caplog.text.count("val/loss is NaN") == 2


def test_a_metric_of_training_is_tracked(tmp_path: Path) -> None:
    callback = MetricHistory(monitor="train/loss", mode="min")
    for epoch, loss in enumerate((1.0, 2.0)):
        end_epoch(callback, trainer(tmp_path, epoch, train_loss=loss, val_loss=0.0))

    assert [row["best/train/loss"] for row in rows_of(tmp_path)] == ["1.0", "1.0"]


@pytest.mark.parametrize(("mode", "best"), [("min", 1.0), ("max", 3.0)])
def test_the_best_value_survives_a_resume(mode: str, best: float, tmp_path: Path) -> None:
    before = history(mode)
    assert before.best is None
    for epoch, loss in enumerate((1.0, 3.0, 2.0)):
        end_epoch(before, trainer(tmp_path, epoch, val_loss=loss))

    after = history(mode)
    after.load_state_dict(before.state_dict())
    continued = trainer(tmp_path, 3, val_loss=2.5)
    end_epoch(after, continued)

    assert after.best == best
    assert continued.loggers[0].logged == [({"best/val/loss": best}, 40)]
    assert [row["epoch"] for row in rows_of(tmp_path)] == ["0", "1", "2", "3"]


def test_rows_that_a_crash_made_obsolete_are_removed(tmp_path: Path) -> None:
    crashed = history()
    end_epoch(crashed, trainer(tmp_path, 0, val_loss=1.0))
    saved = history()
    saved.load_state_dict(crashed.state_dict())
    end_epoch(crashed, trainer(tmp_path, 1, val_loss=9.0))

    end_epoch(saved, trainer(tmp_path, 1, val_loss=0.5))

    assert [row["val/loss"] for row in rows_of(tmp_path)] == ["1.0", "0.5"]


def test_only_the_first_rank_writes(tmp_path: Path) -> None:
    other = trainer(tmp_path, val_loss=1.0)
    other.is_global_zero = False

    end_epoch(history(), other)

    assert list(tmp_path.iterdir()) == []


def test_monitoring_an_unknown_metric_is_refused(tmp_path: Path) -> None:
    history().on_validation_end(trainer(tmp_path, val_loss=1.0), None)
    sanity = trainer(tmp_path)
    sanity.sanity_checking = True
    history().on_validation_end(sanity, None)

    with pytest.raises(UserError, match=r"monitor=val/loss is not measured.*'val/los'"):
        history().on_validation_end(trainer(tmp_path, val_los=1.0), None)


def test_stage_metrics_selects_metrics_of_stages() -> None:
    metrics = {"train/loss": torch.tensor(1.0), "lr-Adam": torch.tensor(2.0), "epoch": 3}

    assert stage_metrics(metrics) == {"train/loss": 1.0}


def test_a_filename_without_csv_is_refused():
    with pytest.raises(ValueError, match=r"must end in \.csv, got config\.yaml"):
        MetricHistory(monitor="val/loss", filename="config.yaml")

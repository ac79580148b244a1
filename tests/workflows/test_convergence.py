"""Runs that end while the network is still learning are reported, and others are not."""

from types import SimpleNamespace
from typing import Any

import pytest

from leyden.config.check import check
from leyden.config.compose import compose, freeze
from leyden.runs.folder import RunFolder
from leyden.workflows.convergence import is_improving, warn_of_short_run
from leyden.workflows.train import train

# Recorded runs of the default schedule.
DIGITS = {
    "lr": [
        0.00021,
        0.00046,
        0.00084,
        0.0013,
        0.0018,
        0.0023,
        0.0027,
        0.0029,
        0.003,
        0.003,
        0.0029,
        0.0028,
        0.0027,
        0.0026,
        0.0024,
        0.0022,
        0.002,
        0.0018,
        0.0016,
        0.0014,
        0.0012,
        0.00095,
        0.00075,
        0.00056,
        0.0004,
        0.00026,
        0.00015,
        6.5e-05,
        1.6e-05,
        2.2e-08,
    ],
    "train/loss": [
        2.0477,
        1.4084,
        0.8837,
        0.7019,
        0.6568,
        0.6453,
        0.6485,
        0.6404,
        0.6035,
        0.608,
        0.5889,
        0.5775,
        0.5719,
        0.5625,
        0.5608,
        0.5581,
        0.5477,
        0.5448,
        0.5418,
        0.5433,
        0.5396,
        0.5338,
        0.5316,
        0.5318,
        0.5305,
        0.529,
        0.5283,
        0.5267,
        0.5283,
        0.5265,
    ],
    "val/loss": [
        1.7395,
        0.9656,
        0.6889,
        0.6183,
        0.6767,
        0.6417,
        0.6707,
        0.611,
        0.6087,
        0.5893,
        0.5868,
        0.5685,
        0.573,
        0.5605,
        0.5535,
        0.5593,
        0.5387,
        0.5472,
        0.5502,
        0.5379,
        0.5362,
        0.5306,
        0.5316,
        0.5313,
        0.5322,
        0.5319,
        0.5306,
        0.5308,
        0.5304,
        0.5302,
    ],
}
"""Default run: 1,200 steps."""

WORDS = {
    "lr": [0.0025, 0.0029, 0.0024, 0.0017, 0.00085, 0.00023, 1.2e-08, 0.00023],
    "train/loss": [1.0839, 1.1117, 1.0916, 1.1309, 1.0875, 1.0786, 1.1004, 1.0715],
    "val/loss": [1.1085, 1.1124, 1.1136, 1.111, 1.1085, 1.1067, 1.1065, 1.1069],
}
"""Three spoken words: 8 steps."""

FASHION = {
    "lr": [0.0099, 0.0046, 6.8e-08],
    "train/loss": [0.9413, 0.7447, 0.6878],
    "val/loss": [0.8283, 0.7315, 0.6922],
}
"""``experiment=fashion_mnist_fast``: 1,335 steps."""


def ended(curves: dict[str, list[float]], *, steps: int, **changes: Any) -> list[str]:
    rows = [dict(zip(curves, values, strict=True)) for values in zip(*curves.values(), strict=True)]
    limits = {"max_epochs": len(rows), "max_steps": -1, "current_epoch": len(rows)}
    trainer: Any = SimpleNamespace(**{**limits, "global_step": steps, **changes})
    history: Any = SimpleNamespace(rows=rows, monitor="val/loss", mode="min")
    return warn_of_short_run(trainer, history)


def at_a_constant_rate(**curves: list[float]) -> dict[str, list[float]]:
    count = len(curves["train"])
    return {"lr": [0.1] * count} | {f"{stage}/loss": values for stage, values in curves.items()}


@pytest.mark.parametrize(("curves", "steps"), [(DIGITS, 1200), (FASHION, 1335)])
def test_healthy_runs_are_not_reported(curves, steps):
    assert ended(curves, steps=steps) == []


def test_an_undertrained_run_is_reported_with_a_remedy():
    [warning] = ended(WORDS, steps=8)

    assert "val/loss was still improving when it ended after 8 epochs and 8 optimizer" in warning
    assert "leyden train run=RUN trainer.max_epochs=24" in warning


def test_runs_of_limited_steps_name_that_limit():
    [warning] = ended(WORDS, steps=8, max_epochs=-1, max_steps=8)

    assert "trainer.max_steps=24" in warning


def test_runs_that_ended_before_their_limit_are_not_reported():
    assert ended(WORDS, steps=8, max_epochs=30) == []


def test_without_annealing_many_steps_may_be_too_few():
    falling = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]

    assert ended(at_a_constant_rate(train=falling, val=falling), steps=10_000)


def test_a_falling_training_loss_is_reported_unless_the_network_overfits():
    falling = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5]
    noisy = [0.9, 0.8, 0.9, 0.8, 0.9, 0.79]
    overfitted = [0.9, 0.7, 0.8, 0.9, 1.0, 1.1]

    [warning] = ended(at_a_constant_rate(train=falling, val=noisy), steps=10_000)
    assert "train/loss was still improving" in warning
    assert ended(at_a_constant_rate(train=falling, val=overfitted), steps=10_000) == []


@pytest.mark.parametrize(
    ("values", "improving"),
    [
        ([3.0, 2.0, 1.0], False),  # too short to tell
        ([1.0, 0.4, 0.31, 0.3, 0.302, 0.299], False),  # best at the end, by next to nothing
        ([0.5, 0.7, 0.4, 0.7, 0.6, 0.39], False),  # noise
        ([0.9, 0.8, 0.7, 0.6, 0.52, 0.45], True),
    ],
)
def test_an_improvement_has_to_exceed_the_noise(values, improving):
    assert is_improving(values, "min") == improving
    assert is_improving([-value for value in values], "max") == improving


def test_a_run_records_the_warning(tmp_path, caplog):
    words = ("network=linear", "trainer=cpu", "trainer.max_epochs=6", "data.batch_size=512")
    config = freeze(compose(words))
    check(config)
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()

    train(config, folder)

    [warning] = folder.read_status()["warnings"]
    assert "may have been too short" in warning
    assert warning in caplog.text

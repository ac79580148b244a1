from types import SimpleNamespace

import pytest

from leyden.errors import UserError
from leyden.monitor import mode_of

MODES = {
    "train/loss": "min",
    "val/loss": "min",
    "val/accuracy": "max",
    "val/undecided": None,
    "test/accuracy": "max",
}


def trainer(limit=1.0):
    return SimpleNamespace(lightning_module=SimpleNamespace(modes=MODES), limit_val_batches=limit)


@pytest.mark.parametrize("name", ["train/loss", "val/loss", "val/accuracy"])
def test_the_mode_follows_from_the_metric(name):
    assert mode_of(trainer(), name, None) == MODES[name]
    assert mode_of(trainer(), name, MODES[name]) == MODES[name]


@pytest.mark.parametrize(
    ("monitor", "mode", "message"),
    [
        ("val/accuracy", "min", "contradicts monitor=val/accuracy, of which higher values"),
        ("val/loss", "max", "contradicts monitor=val/loss, of which lower values"),
        ("val/acuracy", None, "Did you mean 'val/accuracy'.*mode=min or mode=max"),
        ("val/undecided", None, "does not declare .* mode=min or mode=max"),
        ("test/accuracy", None, "not measured while training"),
        ("test/accuracy", "max", "not measured while training"),
    ],
)
def test_invalid_monitors_are_refused(monitor, mode, message):
    with pytest.raises(UserError, match=message):
        mode_of(trainer(), monitor, mode)


@pytest.mark.parametrize("monitor", ["val/own", "own", "val/undecided"])
def test_undeclared_metrics_use_the_given_mode(monitor):
    assert mode_of(trainer(), monitor, "max") == "max"


def test_validation_metrics_need_validation():
    with pytest.raises(UserError, match=r"limit_val_batches=0.*monitor=train/loss"):
        mode_of(trainer(limit=0), "val/loss", None)

    assert mode_of(trainer(limit=0), "train/loss", None) == "min"


def test_modules_without_modes_need_a_mode():
    foreign = SimpleNamespace(lightning_module=object(), limit_val_batches=1.0)

    assert mode_of(foreign, "val/loss", "min") == "min"
    with pytest.raises(UserError, match="give mode=min or mode=max"):
        mode_of(foreign, "val/loss", None)

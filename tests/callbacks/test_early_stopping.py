from types import SimpleNamespace

import pytest
import torch

from leyden.callbacks.early_stopping import EarlyStopping

MODES = {"val/loss": "min", "val/accuracy": "max", "train/loss": "min"}


def trainer():
    return SimpleNamespace(
        lightning_module=SimpleNamespace(modes=MODES),
        limit_val_batches=1.0,
        callback_metrics={},
        should_stop=False,
        sanity_checking=False,
        fast_dev_run=False,
        current_epoch=0,
        state=SimpleNamespace(fn="fit"),
        strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, **_: decision),
    )


def stopped_after(monitor, values, hook="on_validation_end", **options):
    """Return the number of values after which it asks to stop."""
    callback, run = EarlyStopping(monitor=monitor, **options), trainer()
    callback.setup(run, run.lightning_module, "fit")
    for count, value in enumerate(values, start=1):
        run.callback_metrics[monitor] = torch.tensor(value)
        getattr(callback, hook)(run, None)
        if run.should_stop:
            return count
    return None


@pytest.mark.parametrize(
    ("monitor", "values", "expected"),
    [
        ("val/loss", [3.0, 2.0, 1.0], None),
        ("val/loss", [1.0, 2.0, 3.0], 3),
        ("val/accuracy", [0.1, 0.2, 0.3], None),
        ("val/accuracy", [0.3, 0.2, 0.1], 3),
    ],
)
def test_the_mode_follows_from_the_metric(monitor, values, expected):
    assert stopped_after(monitor, values, patience=2) == expected


@pytest.mark.parametrize("monitor", ["val/loss", "val/accuracy"])
def test_changes_below_min_delta_are_no_improvement_in_either_mode(monitor):
    assert stopped_after(monitor, [0.5, 0.5, 0.5], patience=3, min_delta=0.1) is None
    sign = 1 if MODES[monitor] == "max" else -1
    rising = [0.5 + sign * 0.05 * step for step in range(6)]
    assert stopped_after(monitor, rising, patience=2, min_delta=0.2) == 3


def test_nan_is_no_improvement():
    assert stopped_after("val/accuracy", [torch.nan] * 3 + [0.1, 0.2], patience=4) is None
    assert stopped_after("val/accuracy", [0.5, torch.nan, torch.nan], patience=2) == 3


def test_a_training_metric_is_checked_at_the_end_of_the_epoch():
    rising = [1.0, 2.0, 3.0]

    assert stopped_after("train/loss", rising, "on_train_epoch_end", patience=2) == 3
    assert stopped_after("train/loss", rising, "on_validation_end", patience=2) is None

from types import SimpleNamespace

import pytest
import torch

from leyden.callbacks.checkpoints import Checkpoints, is_resumable


class Epochs:
    """A trainer whose checkpoints hold nothing but the epoch."""

    def __init__(self, folder):
        self.default_root_dir = folder
        self.is_global_zero, self.sanity_checking = True, False
        self.current_epoch = self.global_step = 0
        self.callback_metrics = {}
        self.callbacks = []
        self.is_last_batch = True
        (folder / "checkpoints").mkdir()

    def save_checkpoint(self, path, weights_only):  # noqa: ARG002
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(str(self.current_epoch))
        unfinished.replace(path)


def after_epochs(callback, folder, scores):
    trainer = Epochs(folder)
    for epoch, score in enumerate(scores):
        trainer.current_epoch, trainer.global_step = epoch, 10 * epoch
        trainer.callback_metrics = {"val/loss": torch.tensor(score)}
        if score is not None:
            callback.on_validation_end(trainer, None)
        callback.on_train_epoch_end(trainer, None)
    return {path.name: path.read_text() for path in (folder / "checkpoints").iterdir()}


@pytest.mark.parametrize(("mode", "best"), [("min", "1"), ("max", "2")])
def test_best_last_and_previous_are_kept(tmp_path, mode, best):
    callback = Checkpoints(monitor="val/loss", mode=mode)

    files = after_epochs(callback, tmp_path, [2.0, 1.0, 3.0, 1.0])

    assert files == {"best.ckpt": best, "last.ckpt": "3", "previous.ckpt": "2"}


def test_save_top_k_keeps_several(tmp_path):
    callback = Checkpoints(monitor="val/loss", save_top_k=2)

    files = after_epochs(callback, tmp_path, [2.0, 1.0, 3.0, 1.5])

    assert files["best.ckpt"] == files["epoch-001-step-10.ckpt"] == "1"
    assert files["epoch-003-step-30.ckpt"] == files["last.ckpt"] == "3"
    assert len(files) == 5


def test_nan_is_never_the_best(tmp_path):
    files = after_epochs(Checkpoints(monitor="val/loss"), tmp_path, [2.0, float("nan")])

    assert files["best.ckpt"] == "0"


def test_the_best_value_is_restored(tmp_path):
    before, after = (Checkpoints(monitor="val/loss") for _ in range(2))
    (tmp_path / "a").mkdir()
    after_epochs(before, tmp_path / "a", [1.0])

    after.load_state_dict(before.state_dict())

    assert "best.ckpt" not in after_epochs(after, tmp_path, [2.0])


def test_an_invalid_interval_is_refused():
    with pytest.raises(ValueError, match="save_every_steps must be above 0 or null, got 0"):
        Checkpoints(monitor="val/loss", save_every_steps=0)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"accumulate_grad_batches": 4}, False),
        ({"is_last_batch": True}, False),
        ({"val_check_batch": 2}, False),
        ({"max_steps": 7}, False),
        ({"should_stop": True}, False),
    ],
)
def test_checkpoints_are_written_only_where_training_can_resume(changed, expected):
    usual = {"accumulate_grad_batches": 2, "is_last_batch": False, "val_check_batch": 10}
    usual |= {"max_steps": -1, "global_step": 7, "should_stop": False}

    assert is_resumable(SimpleNamespace(**usual | changed), batch_idx=5) is expected

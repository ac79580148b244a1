from pathlib import Path
from types import SimpleNamespace

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from leyden.callbacks.run_record import KEY, RunRecord


def test_the_record_and_the_fitted_preprocessing_are_saved() -> None:
    data = SimpleNamespace(state_dict=lambda: {"mean": 1})
    checkpoint = {"epoch": 3}

    record = RunRecord(record={"config": {"seed": 0}})
    record.on_save_checkpoint(SimpleNamespace(datamodule=data), None, checkpoint)

    assert checkpoint == {"epoch": 3, KEY: {"config": {"seed": 0}, "data": {"mean": 1}}}


def test_a_moved_run_still_knows_its_best_checkpoint(tmp_path: Path) -> None:
    old, new = str(tmp_path / "old"), str(tmp_path / "new")
    before = ModelCheckpoint(dirpath=old, monitor="val/loss")
    before.best_model_path = before.kth_best_model_path = f"{old}/best.ckpt"
    before.best_model_score = before.kth_value = torch.tensor(0.5)
    before.best_k_models = {f"{old}/best.ckpt": torch.tensor(0.5)}
    after = ModelCheckpoint(dirpath=new, monitor="val/loss")
    checkpoint = {"callbacks": {before.state_key: before.state_dict()}}

    trainer = SimpleNamespace(checkpoint_callbacks=[after, ModelCheckpoint(monitor="other")])
    RunRecord(record={}).on_load_checkpoint(trainer, None, checkpoint)
    after.load_state_dict(checkpoint["callbacks"][after.state_key])

    assert after.best_model_score == 0.5
    assert after.best_k_models == {f"{new}/best.ckpt": 0.5}
    assert after.best_model_path == after.kth_best_model_path == f"{new}/best.ckpt"

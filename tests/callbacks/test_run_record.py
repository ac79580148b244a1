from types import SimpleNamespace

from leyden.callbacks.run_record import RunRecord
from leyden.checkpoints.record import KEY


def test_the_record_and_the_fitted_preprocessing_are_saved() -> None:
    data = SimpleNamespace(state_dict=lambda: {"mean": 1})
    checkpoint = {"epoch": 3}

    record = RunRecord(record={"config": {"seed": 0}})
    record.on_save_checkpoint(SimpleNamespace(datamodule=data), None, checkpoint)

    assert checkpoint == {"epoch": 3, KEY: {"config": {"seed": 0}, "data": {"mean": 1}}}

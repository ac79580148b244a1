"""Options that do not work with a sharded network are refused before training."""

import pytest

from leyden.callbacks.stop_request import GracefulStop, StopRequest
from leyden.config.compose import compose, freeze
from leyden.errors import UserError
from leyden.strategies.sharded import Sharded
from leyden.workflows.assembly import build_data, build_task, build_trainer

WORDS = ("network=linear", "trainer=fsdp", "trainer.accelerator=cpu", "trainer.devices=1")


def fit(folder, *words):
    config = freeze(compose([*WORDS, *words]))
    stop = GracefulStop(request=StopRequest())
    data = build_data(config)
    data.prepare_data()
    data.setup("fit")
    task = build_task(config, data, lazy_network=True)
    trainer = build_trainer(config, folder, task=task, first=[], last=stop)
    trainer.fit(task, datamodule=data)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["callbacks=[default,ema]"], "EMAWeightAveraging needs the whole network on each rank"),
        (["callbacks=[default,swa]"], "StochasticWeightAveraging needs the whole network"),
        (["trainer.sync_batchnorm=true"], "sync_batchnorm=true does not work with trainer=fsdp"),
    ],
)
def test_options_that_need_the_whole_network_are_refused(words, expected, tmp_path):
    with pytest.raises(UserError, match=expected):
        fit(tmp_path, *words)


def test_ranks_must_have_the_same_number_of_batches(monkeypatch):
    strategy = Sharded()
    monkeypatch.setattr(Sharded, "world_size", 2)

    def gather(numbers, own):
        numbers[:] = [own, own - 1]

    monkeypatch.setattr("torch.distributed.all_gather_object", gather)

    with pytest.raises(UserError, match="they have 1, 0: a split has fewer rows than"):
        strategy.process_dataloader([None])

import pytest
import torch
from torch import nn

from leyden.callbacks.cuda_graph import CudaGraph, RecordedForward
from leyden.runs.checkpoint import load_checkpoint
from leyden.runs.folder import RunFolder

WORDS = ("callbacks=[default,cuda_graph]",)


class Doubled(nn.Module):
    """Drops some, and counts its passes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))
        self.register_buffer("passes", torch.tensor(0))

    def forward(self, images, mask):
        self.passes += 1
        return nn.functional.dropout(images, training=self.training) * self.weight * mask


@pytest.fixture
def network(monkeypatch):
    """Give a network that is recorded, as on a GPU, by passes that warm it up."""

    def recorded(module, samples, *, allow_unused_input):
        assert allow_unused_input
        for _ in range(3):
            module(*samples)
        return lambda *values: ("replayed", module(*values))

    monkeypatch.setattr("torch.cuda.make_graphed_callables", recorded)
    network = Doubled()
    network.forward = RecordedForward(network)
    network.forward.is_free = True
    return network


def inputs(rows):
    return {"images": torch.ones(rows, 4), "mask": torch.ones(rows, 4)}


def test_a_recording_leaves_buffers_and_generators_alone(network):
    torch.manual_seed(0)
    how, recorded = network(**inputs(3))
    torch.manual_seed(0)
    plain = Doubled()(**inputs(3))

    assert how == "replayed"
    assert torch.equal(recorded, plain)
    assert network.passes == 1


def test_other_shapes_and_evaluation_run_as_they_do_without(network):
    network(**inputs(3))

    network.forward.is_free = True
    assert isinstance(network(**inputs(2)), torch.Tensor)
    with torch.no_grad():
        assert isinstance(network(**inputs(3)), torch.Tensor)
    network.eval()
    assert isinstance(network(**inputs(3)), torch.Tensor)
    network.train()
    assert network(**inputs(3))[0] == "replayed"


def test_the_second_pass_of_a_step_leaves_the_record_of_the_first_alone(network):
    assert network(**inputs(3))[0] == "replayed"
    assert isinstance(network(**inputs(3)), torch.Tensor)

    callback = CudaGraph()
    callback._recorded = network.forward
    callback.on_train_batch_start(None, None, None, 1)

    assert network(**inputs(3))[0] == "replayed"


@pytest.mark.filterwarnings("ignore:.*script_method.* is deprecated")  # torch.compile's own use
@pytest.mark.parametrize("word", ["trainer.accumulate_grad_batches=2", "task.compile_network=true"])
def test_what_a_record_would_get_wrong_is_refused(word, leyden):
    done = leyden("train", *WORDS, word)

    assert done.code == 2
    assert f"Give {word.partition('=')[0]}=" in done.err


def test_it_is_passed_by_where_there_is_no_gpu(leyden):
    done = leyden("train", *WORDS, "trainer=cpu", "network=linear", "trainer.max_epochs=1")

    assert done.code == 0
    assert "nothing to record on cpu" in done.out


@pytest.mark.gpu
@pytest.mark.parametrize("words", [[], ["trainer.precision=32-true", "network.dropout=0.3"]])
def test_a_recorded_network_learns_the_same(words, leyden, tmp_path):
    words = (*words, "trainer=gpu", "deterministic=true", "trainer.max_epochs=3")

    for name, more in (("plain", []), ("recorded", WORDS)):
        done = leyden("train", *words, *more, f"name={name}", "callbacks.early_stopping=null")
        assert done.code == 0, done.err

    plain, recorded = (weights(tmp_path / "runs" / name) for name in ("plain", "recorded"))
    for name, value in plain.items():
        torch.testing.assert_close(recorded[name], value, rtol=0, atol=0, msg=name)


def weights(folder):
    (run,) = folder.iterdir()
    return load_checkpoint(RunFolder(run).last, only=("state_dict",))["state_dict"]

"""A correct network passes the contract, and each test detects the fault that it is for."""

import random

import pytest
import torch
from torch import nn

from leyden.testing.network_contract import NetworkContract


class Sound(nn.Module):
    """A layer, a norm and a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden_layers = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU())
        self.output_layer = nn.Linear(16, 3)

    def forward(self, numbers):
        return self.output_layer(self.hidden_layers(numbers))


class TestSound(NetworkContract):
    def make(self):
        return Sound()

    def inputs(self, rows):
        return {"numbers": torch.randn(rows, 6)}


class DividesByNothing(Sound):
    def forward(self, numbers):
        return super().forward(numbers) / torch.zeros(1)


class DrawsByItself(Sound):
    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.output_layer.bias, random.SystemRandom().random())


class LeavesALayerOut(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.forgotten = nn.Linear(6, 6)


class ComparesRows(Sound):
    def forward(self, numbers):
        return super().forward(numbers - numbers.mean(dim=0))


class CountsInEvaluation(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("asked", torch.zeros(()))

    def forward(self, numbers):
        self.asked += 1
        return super().forward(numbers)


class HidesItsWeights(Sound):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = [nn.Linear(3, 3)]

    def forward(self, numbers):
        return self.hidden[0](super().forward(numbers))


class SharesItsWeights(Sound):
    def __deepcopy__(self, memo):
        return self


class GrowsTooLarge(Sound):
    def forward(self, numbers):
        logits = super().forward(numbers)
        return logits if logits.dtype == torch.float32 else logits * 100


class LearnsNothing(Sound):
    def forward(self, numbers):
        return super().forward(numbers) * 1e-4


FAULTS = {
    DividesByNothing: "every_row_has_logits",
    DrawsByItself: "initial_weights_depend_on_the_seed_alone",
    LeavesALayerOut: "gradients_reach_every_parameter",
    ComparesRows: "rows_are_independent_in_evaluation",
    CountsInEvaluation: "evaluation_changes_nothing",
    HidesItsWeights: "the_state_restores_the_network",
    SharesItsWeights: "a_copy_shares_no_weights",
    GrowsTooLarge: "bfloat16_is_close_to_float32",
    LearnsNothing: "few_rows_can_be_memorised",
}


@pytest.mark.parametrize(("faulty", "name"), FAULTS.items(), ids=[each.__name__ for each in FAULTS])
def test_a_fault_is_found(faulty, name, tmp_path):
    contract = type("Contract", (TestSound,), {"make": lambda _: faulty()})()
    test = getattr(contract, f"test_{name}")
    arguments = [tmp_path] if "tmp_path" in test.__annotations__ else []

    with pytest.raises(AssertionError):
        test(*arguments)


def test_every_test_of_the_contract_has_its_fault():
    names = {
        name.removeprefix("test_") for name in vars(NetworkContract) if name.startswith("test_")
    }

    assert names == set(FAULTS.values())

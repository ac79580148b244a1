import logging

import pytest
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.model_summary import summarize
from torch import nn

from leyden.callbacks.summary import LayerSummary


class Module(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.network = nn.Linear(3, 2)


def test_layers_are_shown_with_sizes_and_without_flops(caplog: pytest.LogCaptureFixture) -> None:
    summary = summarize(Module())

    with caplog.at_level(logging.INFO):
        LayerSummary.summarize(
            summary._get_summary_data(), 8, 8, 0.1, {"train": 1, "eval": 0}, total_flops=0
        )

    assert "network | Linear | 8" in caplog.text
    assert "Total params" in caplog.text
    assert "Modules in eval mode" in caplog.text
    assert "flops" not in caplog.text.lower()

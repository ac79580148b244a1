"""CPU time of a process until its first training step, compared with bare Lightning."""

import statistics
import tempfile
from pathlib import Path

from leyden.data.sets.digits import FILE
from measure import python, spread, write_section

RUNS = 7

NOTE = (
    "CPU seconds of a process from its start, imports included, until the first training step on "
    "the digits is done; the rows are prepared. Median (least to greatest); the ratio is the "
    "median of the ratios within a round."
)

BARE = """
import os
import sys
import lightning.pytorch as pl
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Plain(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))

    def training_step(self, batch, batch_idx):
        images, targets = batch
        return nn.functional.cross_entropy(self.network(images), targets)

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters())

    def on_train_batch_end(self, *args):
        os._exit(0)


table = torch.from_numpy(np.loadtxt(sys.argv[1], delimiter=",", dtype=np.int64))
rows = TensorDataset(table[:, :-1].float(), table[:, -1])
trainer = pl.Trainer(accelerator="cpu", max_epochs=1)
trainer.fit(Plain(), DataLoader(rows, batch_size=32, shuffle=True))
"""

LEYDEN = """
import os
import sys
from leyden.cli import train
from leyden.cli.main import main
from leyden.cli.startup import importing

train_run = train._train


def stop_after_the_first_step(*args, **options):
    with importing():
        from leyden.tasks.base import Task
    Task.on_train_batch_end = lambda *args: os._exit(0)
    return train_run(*args, **options)


train._train = stop_after_the_first_step
sys.argv = ["leyden", "train", "network=mlp", "trainer=cpu"]
main()
"""


def main() -> None:
    """Measure both programs in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python(LEYDEN, folder=folder)  # prepares the rows
        pairs = [
            (python(BARE, str(FILE), folder=folder).cpu, python(LEYDEN, folder=folder).cpu)
            for _ in range(RUNS)
        ]
    bare, leyden = zip(*pairs, strict=True)
    ratio = statistics.median(own / other for other, own in pairs)
    rows = [
        ["bare Lightning", str(RUNS), spread(bare), "1"],
        ["`leyden train`", str(RUNS), spread(leyden), f"{ratio:.2f}"],
    ]
    write_section("First step", NOTE, ["program", "n", "CPU s", "ratio"], rows)


if __name__ == "__main__":
    main()

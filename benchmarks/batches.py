"""Throughput of batches, from the mapped cache to normalised rows on the device."""

import statistics
import time
from collections.abc import Sequence

import torch

from leyden.config.compose import compose, freeze
from leyden.data.base import DataModule
from leyden.testing.data_contract import attach_trainer
from leyden.workflows.assembly import build_data
from measure import write_section

ROUNDS = 7

NOTE = (
    "Fashion-MNIST, batches of 128 in random order, one thread. Rows per CPU second, median "
    f"(least to greatest) of n = {ROUNDS} epochs, in which the variants take turns."
)

VARIANTS: dict[str, Sequence[str]] = {
    "normalised": ("data.augment=null",),
    "shift by 2 and flip, normalised": (
        "+data.augment.shift={_target_: leyden.data.image.augment.Shift, pixels: 2}",
    ),
}


def main() -> None:
    """Measure the throughput of every variant."""
    torch.set_num_threads(1)
    modules = {name: _prepared(words) for name, words in VARIANTS.items()}
    speeds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(ROUNDS):
        for name, data in modules.items():
            speeds[name].append(_rows_per_second(data))
    rows = [
        [name, f"{statistics.median(own):,.0f} ({min(own):,.0f} to {max(own):,.0f})"]
        for name, own in speeds.items()
    ]
    write_section("Batches", NOTE, ["batches", "rows per CPU s"], rows)


def _prepared(words: Sequence[str]) -> DataModule:
    data = build_data(freeze(compose(["data=fashion_mnist", *words])))
    data.prepare_data()
    data.setup()
    attach_trainer(data)
    return data


def _rows_per_second(data: DataModule) -> float:
    start, rows = time.process_time(), 0
    for batch in data.train_dataloader():
        rows += len(data.on_after_batch_transfer(batch, 0).rows)
    return rows / (time.process_time() - start)


if __name__ == "__main__":
    main()

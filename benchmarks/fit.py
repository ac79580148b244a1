"""Leyden's full-featured fit against a hand-written loop over the same batches.

Both train the same network with the same optimizer on the same rows in the same order, normalise on
the batch, and measure accuracy on the validation part once an epoch. Leyden also logs, writes
checkpoints, TensorBoard events and the metric history. The variants run in turn in one process.
"""

import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from measure import write_section
from torch import nn

from leyden.config.build import build
from leyden.config.compose import Config, compose, freeze
from leyden.data.base import DataModule
from leyden.data.sampler import BatchOrder
from leyden.workflows.parts import build_data, build_task, build_trainer

ROUNDS = 5
EPOCHS = 2

NOTE = (
    f"Rows per CPU second of the whole fit, one thread, {EPOCHS} epochs; median of n = {ROUNDS} "
    "rounds in which the variants take turns; ratios are medians of the ratios within a round."
)

NETWORKS: dict[str, Sequence[str]] = {
    "MLP 784-64-128-64-10": ("network=mlp", "network.hidden_widths=[64,128,64]"),
    "CNN of 0.25M parameters": ("network=cnn", "network.channels=[32,64,128,128]"),
}

COMMON = (
    "data=fashion_mnist",
    "data.augment=null",
    "scheduler=constant",
    "optimizer=adam",
    "loss.label_smoothing=0",
    "callbacks.early_stopping=null",
    "callbacks.summary=null",
    f"trainer.max_epochs={EPOCHS}",
    "trainer.accelerator=cpu",
)

Variant = Callable[[], None]


def main() -> None:
    """Measure every network."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    rows: list[list[str]] = []
    for name, words in NETWORKS.items():
        config = freeze(compose([*COMMON, *words]))
        fused = freeze(compose([*COMMON, *words, "+optimizer.fused=true"]))
        data = build_data(config)
        data.prepare_data()
        data.setup()
        rows += _table(
            name,
            data,
            {
                "raw loop, Adam": lambda: raw_loop(config, data),
                "raw loop, fused Adam": lambda: raw_loop(fused, data),
                "Leyden, Adam": lambda: leyden(config),
                "Leyden, fused Adam": lambda: leyden(fused),
            },
        )
    header = ["network", "variant", "rows per CPU s", "to raw Adam", "to raw fused Adam"]
    write_section("Fit", NOTE, header, rows)


def _table(name: str, data: DataModule, variants: dict[str, Variant]) -> list[list[str]]:
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(ROUNDS):
        for variant, run in variants.items():
            start = time.process_time()
            run()
            seconds[variant].append(time.process_time() - start)
    trained = EPOCHS * len(data.part("train"))
    plain, fused = seconds["raw loop, Adam"], seconds["raw loop, fused Adam"]
    return [
        [
            name,
            variant,
            f"{trained / statistics.median(own):,.0f}",
            f"{_ratio(plain, own):.2f}",
            f"{_ratio(fused, own):.2f}",
        ]
        for variant, own in seconds.items()
    ]


def _ratio(reference: Sequence[float], own: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(reference, own, strict=True))


def leyden(config: Config) -> None:
    """Fit with everything that a run has."""
    with tempfile.TemporaryDirectory() as folder:
        data = build_data(config)
        data.prepare_data()
        data.setup()
        trainer = build_trainer(config, Path(folder), extra=[])
        trainer.fit(build_task(config, data), datamodule=data)


def raw_loop(config: Config, data: DataModule) -> None:
    """Fit by hand."""
    network: nn.Module = build(config, "network")(**data.spec.network_sizes)
    optimizer = build(config, "optimizer")(network.parameters())
    loss_of = build(config, "loss")
    normalise = data.normalisation()
    images = torch.from_numpy(data.cached.arrays["images"])
    targets = torch.from_numpy(data.cached.targets)
    order = BatchOrder(
        torch.from_numpy(data.part("train")),
        batch_size=data.batch_size,
        seed=data.seed,
        shuffle=True,
        drop_last=True,
    )
    val = torch.from_numpy(data.part("val"))
    for epoch in range(EPOCHS):
        order.set_epoch(epoch)
        network.train()
        for _, rows in order:
            loss = loss_of(network(normalise(images[rows])), targets[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        network.eval()
        with torch.inference_mode():
            correct = sum(
                int((network(normalise(images[rows])).argmax(1) == targets[rows]).sum())
                for rows in val.split(data.batch_size)
            )
    assert correct > len(val) / 2


if __name__ == "__main__":
    main()

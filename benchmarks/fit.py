"""Throughput of a whole fit, compared with a hand-written loop over the same batches.

Both train the same network with the same optimizer on the same rows in the same order, normalise
each batch, and compute the validation accuracy once an epoch. Leyden also computes F1 and AUROC,
logs, and writes checkpoints, TensorBoard events and the history. All variants run in one process.
"""

import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from leyden.callbacks.exact_resume import ExactResume
from leyden.callbacks.stop_request import GracefulStop, StopRequest
from leyden.config.build import build
from leyden.config.compose import Config, compose, freeze
from leyden.data.base import DataModule
from leyden.data.batches.sampler import BatchOrder
from leyden.workflows.assembly import build_data, build_task, build_trainer
from leyden.workflows.hardware import precision_of
from measure import take_turns, write_section

ROUNDS = 5

TURN = 25
"""Batches of one variant until the next one continues."""

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

SECOND = "s" if DEVICE.type == "cuda" else "CPU s"

NOTE = (
    "Fashion-MNIST, batches of 128, one thread; loops train in float32 unless stated otherwise; "
    "Leyden's defaults convolve in bfloat16 if the hardware supports it. Rows per "
    f"{SECOND} of the whole fit including validation, logs and checkpoints: median of "
    f"n = {ROUNDS} rounds, in which the variants take turns every {TURN} batches; ratios: medians "
    "of the ratios within a round."
)

COMMON = (
    "data=fashion_mnist",
    "data.augment=null",
    "scheduler=constant",
    "optimizer=adam",
    "loss.label_smoothing=0",
    "callbacks.early_stopping=null",
    "callbacks.summary=null",
    "+trainer.enable_model_summary=false",
    f"trainer.accelerator={DEVICE.type}",
)

RAW = "raw loop, Adam"
FUSED = "raw loop, fused Adam"
MIXED = "raw loop, fused Adam, bfloat16, channels last"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A network, the length of its training, and the variants of Leyden and of loops."""

    name: str
    words: Sequence[str]
    epochs: int
    batches: int
    variants: dict[str, Sequence[str]]
    loops: dict[str, dict[str, bool]] = field(
        default_factory=lambda: {RAW: {}, FUSED: {"fused": True}}
    )


MLP = Comparison(
    name="MLP 784-64-128-64-10",
    words=("network=mlp", "network.hidden_widths=[64,128,64]"),
    epochs=10,
    batches=445,
    variants={"Leyden, defaults": ()},
)

CNN = Comparison(
    name="CNN of 0.25M parameters",
    words=("network=cnn", "network.channels=[32,64,128,128]"),
    epochs=1,
    batches=100,
    variants={
        "Leyden, float32, channels first": (
            "trainer.precision=32-true",
            "task.channels_last=false",
        ),
        "Leyden, defaults": (),
    },
)

GRAPH = {"Leyden, callbacks=[default,cuda_graph]": ("callbacks=[default,cuda_graph]",)}

ON_GPU = (
    replace(MLP, epochs=1, variants=MLP.variants | GRAPH),
    replace(
        CNN,
        batches=200,
        variants=CNN.variants | GRAPH,
        loops=CNN.loops | {MIXED: {"fused": True, "mixed": True}},
    ),
)


def main() -> None:
    """Measure every comparison."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    comparisons = ON_GPU if DEVICE.type == "cuda" else (MLP, CNN)
    rows = [row for comparison in comparisons for row in _measured(comparison)]
    header = ["network", "variant", f"rows per {SECOND}", "to raw Adam", "to raw fused Adam"]
    write_section(_title(), NOTE, header, rows)


def _title() -> str:
    if DEVICE.type == "cuda":
        return "Fit on a GPU"
    trainer = {"precision": "auto", "accelerator": "cpu"}
    multiplies = precision_of(trainer, nn.Conv2d(1, 1, 1)) == "bf16-mixed"
    return f"Fit on a CPU that multiplies in {'bfloat16' if multiplies else 'float32 alone'}"


def _clock() -> float:
    """Return CPU seconds, or wall-clock seconds once a GPU has finished its kernels."""
    if DEVICE.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def _measured(comparison: Comparison) -> list[list[str]]:
    length = (
        f"trainer.max_epochs={comparison.epochs}",
        f"trainer.limit_train_batches={comparison.batches}",
    )
    words = [*COMMON, *comparison.words, *length]
    config = freeze(compose(words))
    data = build_data(config)
    data.prepare_data()
    data.setup()
    loops = comparison.loops.items()
    variants = {loop: partial(raw_loop, config, data, **how) for loop, how in loops}
    for variant, more in comparison.variants.items():
        variants[variant] = partial(leyden, freeze(compose([*words, *more])), data)
    rounds = [take_turns(variants, _clock) for _ in range(ROUNDS)]
    seconds = {variant: [each[variant] for each in rounds] for variant in variants}
    trained = comparison.epochs * comparison.batches * data.batch_size
    return [
        [
            comparison.name,
            variant,
            f"{trained / statistics.median(own):,.0f}",
            f"{_ratio(seconds[RAW], own):.2f}",
            f"{_ratio(seconds[FUSED], own):.2f}",
        ]
        for variant, own in seconds.items()
    ]


def _ratio(reference: Sequence[float], own: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(reference, own, strict=True))


class Turns(Callback):
    """Callback that lets the other variants continue every few batches."""

    def __init__(self, *, pass_on: Callable[[], None]) -> None:
        self.pass_on = pass_on

    def on_train_batch_end(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Let the next variant continue after every ``TURN`` batches."""
        if batch_idx % TURN == 0:
            self.pass_on()


def leyden(config: Config, data: DataModule, pass_on: Callable[[], None]) -> None:
    """Fit with the callbacks, loggers and checkpoints of a run."""
    with tempfile.TemporaryDirectory() as folder:
        task = build_task(config, data)
        trainer = build_trainer(
            config,
            Path(folder),
            task=task,
            first=[ExactResume(), Turns(pass_on=pass_on)],
            last=GracefulStop(request=StopRequest()),
        )
        trainer.fit(task, datamodule=data)


def raw_loop(
    config: Config,
    data: DataModule,
    pass_on: Callable[[], None],
    *,
    fused: bool = False,
    mixed: bool = False,
) -> None:
    """Fit in a hand-written training loop."""
    network: nn.Module = build(config, "network")(**data.spec.network_sizes).to(DEVICE)
    precision: Any = nullcontext()
    if mixed:
        network = network.to(memory_format=torch.channels_last)
        precision = torch.autocast(DEVICE.type, torch.bfloat16, cache_enabled=False)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.optimizer.lr, fused=fused)
    loss_of = build(config, "loss")
    normalise = data.normalisation()["images"].to(DEVICE)
    images = torch.from_numpy(data.cached.arrays["images"]).to(DEVICE)
    targets = torch.from_numpy(data.cached.targets).to(DEVICE)
    order = BatchOrder(
        torch.from_numpy(data.row_numbers("train")),
        batch_size=data.batch_size,
        seed=data.seed,
        shuffle=True,
        drop_last=True,
    )
    val = torch.from_numpy(data.row_numbers("val")).to(DEVICE)
    for epoch in range(config.trainer.max_epochs):
        order.set_epoch(epoch)
        network.train()
        for number, (_, rows) in enumerate(islice(order, config.trainer.limit_train_batches)):
            chosen = rows.to(DEVICE)
            with precision:
                loss = loss_of(network(normalise(images[chosen])), targets[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if number % TURN == 0:
                pass_on()
        network.eval()
        with torch.inference_mode(), precision:
            correct = torch.stack(
                [
                    (network(normalise(images[rows])).argmax(1) == targets[rows]).sum()
                    for rows in torch.split(val, data.batch_size)
                ]
            )
    assert int(correct.sum()) > len(val) / 2


if __name__ == "__main__":
    main()

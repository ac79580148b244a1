"""Losses and metrics do not depend on the batch size or the number of ranks.

Every loss in conf/ is tried with every task; this holds for all that a task accepts.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from threading import Barrier

import pytest
import torch
from torch import nn
from torchmetrics import Metric

from leyden.batch import Batch, DataSpec
from leyden.config.build import build
from leyden.config.compose import compose, freeze
from leyden.errors import UserError
from leyden.losses.focal import FocalLoss
from leyden.optim.schedules import constant
from leyden.tasks.base import MeanLoss
from leyden.tasks.classification import Classification
from leyden.tasks.ctc import CTC
from leyden.tasks.language_modelling import LanguageModelling
from leyden.tasks.multilabel import Multilabel
from leyden.tasks.regression import Regression
from shipped import OPTIONS

ROWS = 29
LENGTH = 6
NAMES = ("ant", "bee", "cow")
SIZES = {"one": [1] * ROWS, "seven": [7, 7, 7, 7, 1], "all": [ROWS]}


class Echo(nn.Module):
    """Returns its only input as logits."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, values):
        return values * self.scale


class Table(nn.Module):
    """Returns logits that depend only on the previous token."""

    def __init__(self, *, vocab_size):
        super().__init__()
        self.table = nn.Embedding(vocab_size, vocab_size)

    def forward(self, tokens):
        return self.table(tokens)


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def whole(high, *shape):
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(high))


def passages():
    """Return texts of different lengths, padded to the longest."""
    lengths = whole(LENGTH, ROWS) + 1
    mask = torch.arange(LENGTH) < lengths[:, None]
    return {"tokens": (whole(8, ROWS, LENGTH) + 1) * mask, "mask": mask}


KINDS = {
    Classification: (
        {"values": drawn(ROWS, 3)},
        (whole(4, ROWS) - 1).clamp(min=0),  # the first class is twice as frequent
        DataSpec(network_sizes={}, class_names=NAMES, targets={"counts": [14, 8, 7]}),
    ),
    Multilabel: (
        {"values": drawn(ROWS, 3)},
        whole(2, ROWS, 3).to(torch.uint8),
        DataSpec(network_sizes={}, class_names=NAMES, targets={"kind": "labels"}),
    ),
    Regression: (
        {"values": drawn(ROWS, 1)},
        7 + 3 * drawn(ROWS),
        DataSpec(network_sizes={}, targets={"kind": "number", "mean": 7.0, "std": 3.0}),
    ),
    CTC: (
        {"values": drawn(ROWS, LENGTH, 5)},
        (whole(4, ROWS, 3) + 1) * (torch.arange(3) < whole(3, ROWS)[:, None] + 1),
        DataSpec(network_sizes={}, tokens=("", "\ufffd", "a", "b", " ")),
    ),
    LanguageModelling: (passages(), None, DataSpec(network_sizes={"vocab_size": 9})),
}
"""Inputs, targets and facts of all rows, by task."""


def fits(kind, loss):
    try:
        task_of(kind, loss)
    except UserError:
        return False
    return True


def task_of(kind, loss, **options):
    torch.manual_seed(0)
    network = Table if kind is LanguageModelling else Echo
    return kind(
        spec=KINDS[kind][2],
        network=network,
        loss=loss,
        optimizer=partial(torch.optim.SGD, lr=0.1),
        scheduler=constant,
        **options,
    )


def batches_of(kind, sizes):
    inputs, targets, _ = KINDS[kind]
    for rows in torch.arange(ROWS).split(sizes):
        chosen = {name: value[rows] for name, value in inputs.items()}
        yield Batch(chosen, None if targets is None else targets[rows], rows, 0)


@torch.no_grad()
def measured(task, batches):
    for index, batch in enumerate(batches):
        task.validation_step(batch, index)
    values = task.metrics["val_metrics"].compute() | {"loss": task.losses["val_loss"].compute()}
    return {name: value.item() for name, value in values.items()}


@cache
def config_of(name):
    return freeze(compose([f"loss={name}"]))


def configured(name):
    return partial(build, config_of(name), "loss")


WEIGHTED = {"class_weights": [0.2, 1.0, 5.0]}
CASES = [
    *(
        pytest.param(kind, make, {}, id=f"{kind.__name__}-{name}")
        for kind in KINDS
        for name in OPTIONS["loss"]
        if fits(kind, (make := configured(name))())
    ),
    *(
        pytest.param(Classification, make, WEIGHTED, id=f"weighted-{name}")
        for name, make in {
            "smoothed": partial(nn.CrossEntropyLoss, label_smoothing=0.3),
            "focal": partial(FocalLoss, label_smoothing=0.1),
            "balanced": nn.CrossEntropyLoss,
        }.items()
    ),
    pytest.param(Classification, partial(nn.CrossEntropyLoss, ignore_index=1), {}, id="ignored"),
    pytest.param(
        Classification, partial(nn.MultiMarginLoss, weight=torch.rand(3)), {}, id="weighted-margin"
    ),
    pytest.param(
        LanguageModelling,
        partial(nn.CrossEntropyLoss, weight=torch.rand(9)),
        {},
        id="weighted-tokens",
    ),
    pytest.param(
        Multilabel, partial(nn.BCEWithLogitsLoss, pos_weight=torch.rand(3)), {}, id="pos_weight"
    ),
]


def test_every_loss_fits_some_task_and_every_task_some_loss():
    pairs = {tuple(case.values[:2]) for case in CASES}

    assert {kind for kind, _ in pairs} == set(KINDS)
    for name in OPTIONS["loss"]:
        assert any(fits(kind, configured(name)()) for kind in KINDS), name


@pytest.mark.parametrize(("kind", "loss", "options"), CASES)
def test_batches_of_any_size_give_the_same(kind, loss, options):
    expected = measured(task_of(kind, loss(), **options), batches_of(kind, SIZES["all"]))

    for sizes in SIZES.values():
        got = measured(task_of(kind, loss(), **options), batches_of(kind, sizes))
        assert got == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("kind", "loss", "options"), CASES)
def test_two_ranks_give_what_one_does(kind, loss, options):
    expected = measured(task_of(kind, loss(), **options), batches_of(kind, SIZES["all"]))
    shared = list(batches_of(kind, SIZES["seven"]))
    tasks = [task_of(kind, loss(), **options) for _ in range(2)]

    with ThreadPoolExecutor(2) as pool:
        ranks = [(task, shared[rank::2]) for rank, task in enumerate(connected(tasks))]
        both = list(pool.map(lambda rank: measured(*rank), ranks))

    assert both == [pytest.approx(expected, rel=1e-5)] * 2


def connected(tasks):
    """Let the metrics of tasks that run in threads gather their states as those of ranks do."""
    slots, barrier = [None] * len(tasks), Barrier(len(tasks), timeout=60)

    def gather(rank, value, group=None):  # noqa: ARG001
        slots[rank] = value
        barrier.wait()
        everything = list(slots)
        barrier.wait()
        return everything

    def connect(metric, rank):
        metric.distributed_available_fn = lambda: True
        metric.dist_sync_fn = partial(gather, rank)
        return metric

    for rank, task in enumerate(tasks):
        for metric in task.modules():
            if isinstance(metric, Metric):
                connect(metric, rank)
    return tasks


def test_a_batch_without_weight_counts_for_nothing():
    mean = MeanLoss()

    mean.update(torch.tensor(2.0), torch.tensor(3.0))
    mean.update(torch.tensor(torch.nan), torch.tensor(0.0))

    assert mean.compute() == 2.0
    mean.update(torch.tensor(torch.nan), torch.tensor(1.0))
    assert mean.compute().isnan()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "loss", [nn.NLLLoss(), nn.CosineEmbeddingLoss(), nn.MSELoss(reduction="sum")]
)
def test_losses_that_do_not_fit_are_refused(kind, loss):
    with pytest.raises(UserError, match=r"loss"):
        task_of(kind, loss)


def test_smoothing_that_torch_would_ignore_is_refused():
    with pytest.raises(UserError, match=r"label_smoothing: expected 0 to 1, got -0\.1"):
        task_of(Classification, nn.CrossEntropyLoss(label_smoothing=-0.1))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Classification, "mse"),
        (Classification, "bce"),
        (Classification, "ctc"),
        (Multilabel, "mse"),
        (Regression, "cross_entropy"),
        (CTC, "focal"),
        (CTC, "cross_entropy"),
        (LanguageModelling, "focal"),
    ],
)
def test_a_loss_of_another_task_is_refused_by_name(kind, name):
    loss = configured(name)()

    with pytest.raises(UserError, match=f"The loss {type(loss).__name__} does not fit: task="):
        task_of(kind, loss)

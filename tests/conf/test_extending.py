"""A project adds a task, loss, network and so on by one Python file and one YAML file."""

import sys

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from leyden.checkpoints.io import load_checkpoint
from leyden.cli.completion import candidates

TASK = '''
"""Classification by a margin, with the loss of the task itself."""

from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from leyden.tasks.base import BatchLoss, Task


class Margin(Task):
    """Trains with the multi-class margin loss."""

    def __init__(self, *, spec, **options):
        accuracy = MulticlassAccuracy(num_classes=len(spec.class_names))
        super().__init__(spec=spec, metrics=MetricCollection({"correct": accuracy}), **options)

    def step(self, batch, stage):
        logits = self(batch.inputs)
        self.update_metrics(stage, logits, batch.targets)
        return BatchLoss(functional.multi_margin_loss(logits, batch.targets), len(logits))

    def predictions(self, logits):
        return {"class": [self.spec.class_names[i] for i in logits.argmax(dim=1).tolist()]}
'''

TASK_OPTION = """# The largest logit wins by a margin.
_target_: {package}.tasks.Margin
_partial_: true
network: ${{network}}
parameter_groups: ${{parameter_groups}}
optimizer: ${{optimizer}}
scheduler: ${{scheduler}}
"""

LOSS = '''
"""A loss that is a hundred times too large."""

from torch import nn


class Loud(nn.CrossEntropyLoss):
    """Cross-entropy, a hundred times."""

    def forward(self, logits, targets):
        return 100 * super().forward(logits, targets)
'''

GROUPS = '''
"""Learning rates that decay from the output layer to the input layer."""


def layerwise(module, *, lr, factor):
    """Multiply the learning rate of each parameter by ``factor`` for each one after it."""
    parameters = list(module.parameters())
    return [
        {"params": [parameter], "lr": lr * factor**depth}
        for depth, parameter in enumerate(reversed(parameters))
    ]
'''

GROUPS_OPTION = """# The nearer to the input, the lower the learning rate.
_target_: {package}.optim.layerwise
_partial_: true
lr: ${{optimizer.lr}}
factor: 0.5
"""

NETWORK = '''
"""A linear network on every second column."""

from torch import nn


class Sparse(nn.Module):
    """One linear layer on every second column of pixels."""

    def __init__(self, *, input_shape, num_outputs):
        super().__init__()
        channels, height, width = input_shape
        self.seen = nn.Linear(channels * height * ((width + 1) // 2), num_outputs)

    def forward(self, images):
        return self.seen(images[..., ::2].flatten(1))
'''

DATA = '''
"""Images whose folder is a key of its own."""

from leyden.data.image.folder import ImageFolder
from leyden.files import DataPath


class Scans(ImageFolder):
    """Scans below a folder, with a sub-folder per class."""

    def __init__(self, *, scans: DataPath | None = None, **options):
        super().__init__(root=scans, **options)
'''

DATA_OPTION = """# Scans.
defaults: [_image_files]
_target_: {package}.data.Scans
name: scans
scans: ???
channels: 1
image_size: [8, 8]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Create a project in the current directory; return a function that adds an option."""
    package = f"own_{tmp_path.name}"
    home = tmp_path / "src" / package
    home.mkdir(parents=True)
    (home / "__init__.py").touch()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(sys, "path", sys.path.copy())

    def add(module, code, option, text):
        (home / f"{module}.py").write_text(code)
        file = tmp_path / "conf" / f"{option}.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(text.format(package=package))

    return add


@pytest.fixture
def trained(leyden, tmp_path):
    """Return a function that trains two batches and returns the checkpoint and the metrics."""

    def train(*words):
        done = leyden("train", "network=linear", *words, "name=mine", "debug=smoke")
        assert done.code == 0, done.err
        (run,) = (tmp_path / "runs" / "mine").iterdir()
        metrics = (run / "metrics.json").read_text()
        return load_checkpoint(run / "checkpoints" / "last.ckpt"), metrics

    return train


def test_a_task(project, trained):
    project("tasks", TASK, "task/margin", TASK_OPTION)

    _, metrics = trained("task=margin")

    assert '"test/correct"' in metrics


def test_a_loss_is_refused_if_the_task_does_not_use_it(project, trained, leyden, tmp_path):
    project("tasks", TASK, "task/margin", TASK_OPTION)
    trained("task=margin")
    (run,) = (tmp_path / "runs" / "mine").iterdir()

    new = leyden("train", "task=margin", "loss=focal")
    old = leyden("evaluate", f"run={run}", "loss=focal")

    assert new.code == old.code == 2
    assert "The override loss=focal has no effect: " in new.err
    assert "loss: the task does not use this node" in old.err


def test_a_loss(project, trained):
    project("losses", LOSS, "loss/loud", "# Loud.\n_target_: {package}.losses.Loud\n")

    _, metrics = trained("loss=loud")

    assert '"test/loss": 2' in metrics  # some 2.3, a hundred times


def test_parameter_groups(project, trained):
    project("optim", GROUPS, "parameter_groups/layerwise", GROUPS_OPTION)

    checkpoint, _ = trained(
        "parameter_groups=layerwise", "optimizer=sgd", "optimizer.lr=0.4", "scheduler=constant"
    )

    groups = checkpoint["optimizer_states"][0]["param_groups"]
    assert [group["lr"] for group in groups] == [0.4, 0.2]


def test_a_network(project, trained):
    text = "# Sparse.\n_target_: {package}.networks.Sparse\n_partial_: true\n"
    project("networks", NETWORK, "network/sparse", text)

    checkpoint, _ = trained("network=sparse")

    assert checkpoint["state_dict"]["network.seen.weight"].shape == torch.Size([10, 32])


@pytest.fixture
def scans(tmp_path):
    """Return a function that writes images of two classes to a folder."""
    random = np.random.default_rng(0)

    def draw(folder, count):
        for name in ("dark", "light"):
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(256, size=(8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / folder / name / f"{number}.png")

    return draw


def test_paths_of_data_are_keys_of_the_data_module(project, trained, leyden, scans, tmp_path):
    project("data", DATA, "data/scans", DATA_OPTION)
    scans("old, 1", 20)
    scans("other", 3)

    assert candidates("leyden train data=scans data.scans=ot") == ["data.scans=other/"]
    mistyped = leyden("train", "data=scans", "data.scans=othre")
    trained("data=scans", "data.scans=old, 1", "data.batch_size=4")
    (run,) = (tmp_path / "runs" / "mine").iterdir()
    config = OmegaConf.load(run / "config.yaml")
    (tmp_path / "old, 1").rename(tmp_path / "new")
    words = (f"run={run}", "data.scans=new")
    resumed = leyden("train", *words, "trainer.max_epochs=2")
    same, other = leyden("evaluate", *words), leyden("evaluate", f"run={run}", "data.scans=other")

    assert "Did you mean 'other'?" in mistyped.err
    assert config.data.scans == str(tmp_path / "old, 1")
    assert resumed.code == 0, resumed.err
    assert '"val/accuracy"' in same.out
    assert '"test/accuracy"' in other.out
    assert '"val/accuracy"' not in other.out

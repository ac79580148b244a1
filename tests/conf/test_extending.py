"""One Python file and one YAML file of a user's own add a task, a loss, a rule or a network."""

import sys

import pytest
import torch

from leyden.checkpoints.io import load_checkpoint

TASK = '''
"""Classification by a margin, with the loss of the task itself."""

from torch.nn import functional
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy

from leyden.tasks.base import BatchLoss, Task


class Margin(Task):
    """Learns that the right logit is the largest by 1."""

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
"""Learning rates that fall from the output to the input."""


def layerwise(module, *, lr, factor):
    """Give each parameter a learning rate ``factor`` below that of the next one."""
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
"""A linear network on every second pixel."""

from torch import nn


class Sparse(nn.Module):
    """One linear layer that looks at every second column."""

    def __init__(self, *, input_shape, num_outputs):
        super().__init__()
        channels, height, width = input_shape
        self.seen = nn.Linear(channels * height * ((width + 1) // 2), num_outputs)

    def forward(self, images):
        return self.seen(images[..., ::2].flatten(1))
'''


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Begin a project in the current directory, and return what adds an option to it."""
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
    """Train two batches; return the last checkpoint, and the metrics as text."""

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


def test_a_task_that_takes_no_loss_refuses_one(project, trained, leyden, tmp_path):
    project("tasks", TASK, "task/margin", TASK_OPTION)
    trained("task=margin")
    (run,) = (tmp_path / "runs" / "mine").iterdir()

    new = leyden("train", "task=margin", "loss=focal")
    old = leyden("evaluate", f"run={run}", "loss=focal")

    assert new.code == old.code == 2
    assert "The override loss=focal has no effect: " in new.err
    assert "loss: the task does not take this node" in old.err


def test_a_loss(project, trained):
    project("losses", LOSS, "loss/loud", "# Loud.\n_target_: {package}.losses.Loud\n")

    _, metrics = trained("loss=loud")

    assert '"test/loss": 2' in metrics  # some 2.3, a hundred times


def test_a_rule_for_parameter_groups(project, trained):
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

"""Every network option learns from every kind of data that conf/ offers."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from leyden.config.compose import compose, freeze, groups
from leyden.data.audio import mandarin_tones
from leyden.data.base import DataModule
from leyden.data.image import fashion_mnist
from leyden.workflows.parts import build_data, build_task

KINDS = groups()["data"]
NETWORKS = groups()["network"]

PACKAGES = {
    "fashion_mnist": (fashion_mnist.SYSTEM_FOLDER, "dataset-fashion-mnist"),
    "mandarin_tones": (mandarin_tones.SYSTEM_FOLDER, "gcin-voice"),
}
"""Data sets that come with packages of Debian's."""


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Give the overrides that choose a data set and its place."""
    chosen = [f"data={request.param}", "data.batch_size=8"]
    if request.param == "image_folder":
        return [*chosen, f"data.root={image_folder(tmp_path_factory.mktemp('images'))}"]
    if request.param == "audio_folder":
        return [*chosen, f"data.root={audio_folder(tmp_path_factory.mktemp('sounds'))}"]
    for name, (place, package) in PACKAGES.items():
        if request.param == name and not place.is_dir():
            pytest.skip(f"no {place}: apt-get install {package}")
    return chosen


@pytest.fixture(scope="module")
def data(kind: list[str]) -> DataModule:
    module = build_data(freeze(compose(kind)))
    module.prepare_data()
    module.setup("fit")
    return module


def image_folder(root: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (root / name).mkdir()
        for index in range(20):
            pixels = random.integers(0, 256, (20, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index}.png")
    return root


def audio_folder(root: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("rain", "wind"):
        (root / name).mkdir()
        for index in range(20):
            soundfile.write(root / name / f"{index}.wav", random.normal(0, 0.1, 4000), 8000)
    return root


@pytest.mark.parametrize("network", NETWORKS)
def test_a_batch_gives_a_finite_loss_and_gradients(
    network: str, kind: list[str], data: DataModule
) -> None:
    config = freeze(compose([*kind, f"network={network}"]))
    task = build_task(config, data)
    batch = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)

    loss = task.step(batch, "train")
    loss.backward()

    assert loss.shape == ()
    assert loss.isfinite()
    gradients = [parameter.grad for parameter in task.network.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    assert any(torch.count_nonzero(gradient) for gradient in gradients)

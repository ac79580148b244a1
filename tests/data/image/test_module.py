import numpy as np
import pytest
import torch
from PIL import Image

from leyden.data.image.module import ImageData
from leyden.data.image.normalise import NormaliseImages
from leyden.data.rows import Rows
from leyden.errors import UserError

MANY = 600
"""More rows than are fitted at once."""


class Given(ImageData):
    image_shape = (3, 4, 5)

    def __init__(self, images, **options):
        super().__init__(name="given", **options)
        self.images = images

    def source_settings(self):
        return {}

    def read(self):
        yield Rows(
            arrays={"images": self.images},
            targets=np.array(["a", "b"] * (len(self.images) // 2)),
            split="all",
            sources=[str(row) for row in range(len(self.images))],
        )


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (MANY, 3, 4, 5), dtype=np.uint8)


def fitted(images, rows=None):
    data = Given(images)
    data.statistics = data.fit({"images": images}, np.arange(MANY) if rows is None else rows)
    return data


def test_the_statistics_are_those_of_each_channel(images):
    images[:, 1] //= 2
    rows = np.arange(100, 500)

    statistics = fitted(images, rows).statistics

    channels = (images[rows] / 255).transpose(1, 0, 2, 3).reshape(3, -1)
    assert statistics["mean"].tolist() == pytest.approx(channels.mean(axis=1), rel=1e-6)
    assert statistics["std"].tolist() == pytest.approx(channels.std(axis=1), rel=1e-6)
    assert all(statistics[name].dtype == torch.float32 for name in ("mean", "std"))


def test_normalised_training_images_have_zero_mean_and_unit_variance(images):
    normalised = fitted(images).normalisation()["images"](torch.from_numpy(images))

    assert normalised.dtype == torch.float32
    assert normalised.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0] * 3, abs=1e-5)
    assert normalised.std(dim=(0, 2, 3)).tolist() == pytest.approx([1] * 3, abs=1e-3)


@pytest.mark.parametrize("level", [0, 77, 130, 254, 255])
def test_a_constant_channel_is_only_centred(images, level):
    images[:, 2] = level

    data = fitted(images)

    brighter = torch.full((1, 3, 4, 5), level, dtype=torch.float32) + 1
    assert data.statistics["std"][2] == 0
    normalise = data.normalisation()["images"]
    assert normalise(torch.from_numpy(images))[:, 2].abs().max() < 1e-6
    assert normalise(brighter)[0, 2].max().item() == pytest.approx(1 / 255, rel=1e-3)


def test_normalisation_is_an_affine_map_of_each_channel():
    normalise = NormaliseImages(mean=torch.tensor([0.5, 0.0]), std=torch.tensor([0.25, 1.0]))

    out = normalise(torch.tensor([[[[0, 255]], [[0, 255]]]], dtype=torch.uint8))

    assert out.flatten().tolist() == pytest.approx([-2.0, 2.0, 0.0, 1.0])


def test_networks_are_sized_by_the_images_and_the_classes(images, tmp_path):
    data = Given(images, cache_dir=str(tmp_path))
    data.prepare_data()
    data.setup()

    assert data.spec.network_sizes == {"input_shape": (3, 4, 5), "num_outputs": 2}


def test_inputs_are_read_from_files_and_folders(images, tmp_path):
    (tmp_path / "deep").mkdir()
    for name, colour in {"deep/b.png": "red", "deep/.no.png": "red", "a.png": "lime"}.items():
        Image.new("RGB", (9, 9), colour).save(tmp_path / name)

    (inputs,) = Given(images).reader().read([f"{tmp_path}/deep", f"{tmp_path}/a.png"])

    assert inputs.names == [f"{tmp_path}/deep/b.png", f"{tmp_path}/a.png"]
    pixels = inputs.fields["images"]
    assert (pixels.shape, pixels.dtype) == ((2, 3, 4, 5), np.uint8)
    assert pixels[:, :, 0, 0].tolist() == [[255, 0, 0], [0, 255, 0]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("missing.png", "does not exist"),
        ("empty", "No image found below"),
    ],
)
def test_missing_inputs_are_named(images, tmp_path, given, message):
    (tmp_path / "empty").mkdir()

    with pytest.raises(UserError, match=message) as caught:
        Given(images).reader().read([str(tmp_path / given)])

    assert str(tmp_path / given) in str(caught.value)

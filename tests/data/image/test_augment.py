import inspect

import pytest
import torch

from leyden.data.image import augment
from leyden.data.image.augment import Erase, Flip, ResizedCrop, Shift

AUGMENTATIONS = [
    found
    for name, found in vars(augment).items()
    if inspect.isclass(found) and found.__module__ == augment.__name__ and not name.startswith("_")
]
DTYPES = [torch.uint8, torch.float16, torch.float32, torch.float64]
SHAPES = [(16, 3, 12, 20), (1, 1, 8, 8), (5, 2, 7, 1)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(shape=(16, 3, 12, 20), dtype=torch.uint8):
    return torch.randint(1, 256, shape, generator=seeded(99)).to(dtype)


def ramp(size):
    """Return one image whose pixels are all different and never black."""
    height, width = size
    return torch.arange(1, height * width + 1).view(1, 1, height, width).float()


def test_the_module_is_walked():
    assert {Flip, Shift, ResizedCrop, Erase} <= set(AUGMENTATIONS)


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
class TestEvery:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shape", SHAPES)
    def test_keeps_shape_and_dtype(self, augmentation, shape, dtype):
        out = augmentation()(noise(shape, dtype), seeded())

        assert (out.shape, out.dtype) == (shape, dtype)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    def test_is_a_function_of_the_generator(self, augmentation, dtype):
        images = noise(dtype=dtype)

        first, again, other = (augmentation()(images, seeded(seed)) for seed in (1, 1, 2))

        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_leaves_the_global_generator_alone(self, augmentation):
        before = torch.get_rng_state()

        augmentation()(noise(), seeded())

        assert torch.equal(torch.get_rng_state(), before)

    def test_leaves_its_input_alone(self, augmentation):
        images = noise()
        before = images.clone()

        augmentation()(images, seeded()).fill_(0)

        assert torch.equal(images, before)

    def test_treats_all_channels_equally(self, augmentation):
        grey = noise((16, 1, 12, 20))

        out = augmentation()(grey.expand(-1, 3, -1, -1), seeded())

        assert torch.equal(out, out[:, :1].expand(-1, 3, -1, -1))

    def test_draws_for_each_image(self, augmentation):
        images = noise((1, 1, 12, 20)).expand(64, -1, -1, -1)

        assert len(augmentation()(images, seeded()).unique(dim=0)) > 1


def test_flip_always_or_never_mirrors():
    images = noise()

    assert torch.equal(Flip(probability=1.0)(images, seeded()), images.flip(3))
    assert torch.equal(Flip(probability=0.0)(images, seeded()), images)


def test_flip_mirrors_its_share_of_the_images():
    images = ramp((2, 4)).expand(4000, -1, -1, -1)

    flipped = (Flip(probability=0.25)(images, seeded()) != images).any(dim=(1, 2, 3))

    assert flipped.float().mean().item() == pytest.approx(0.25, abs=0.03)


def test_shift_reaches_every_offset_and_fills_with_black():
    image = ramp((5, 7))
    padded = torch.nn.functional.pad(image, [2] * 4)
    expected = {
        tuple(padded[0, 0, row : row + 5, column : column + 7].flatten().tolist())
        for row in range(5)
        for column in range(5)
    }

    shifted = Shift(pixels=2)(image.expand(1000, -1, -1, -1), seeded())

    assert {tuple(each.flatten().tolist()) for each in shifted} == expected


@pytest.mark.parametrize("max_side", [0.0, 0.1, 0.4, 1.0])
def test_erase_blackens_one_rectangle_no_longer_than_max_side(max_side):
    images = noise((500, 3, 12, 20))

    out = Erase(probability=1.0, max_side=max_side)(images, seeded())

    black = (out == 0).all(dim=1)
    heights, widths = black.any(dim=2).sum(dim=1), black.any(dim=1).sum(dim=1)
    assert torch.equal(black.sum(dim=(1, 2)), heights * widths)
    assert (heights.max(), widths.max()) == (int(max_side * 12), int(max_side * 20))
    assert torch.equal(out, images.masked_fill(black.unsqueeze(1), 0))


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_erase_leaves_the_other_images_unchanged(probability):
    images = noise((4000, 1, 8, 8))

    erased = (Erase(probability=probability)(images, seeded()) != images).any(dim=(1, 2, 3))

    assert erased.float().mean().item() == pytest.approx(probability, abs=0.03)


def test_erase_reaches_every_pixel():
    black = Erase(probability=1.0, max_side=0.5)(noise((500, 1, 4, 6)), seeded()) == 0

    assert black.any(dim=0).all()


@pytest.mark.parametrize("size", [(12, 20), (1, 9), (32, 32)])
def test_a_crop_of_the_full_area_is_the_image(size):
    images = noise((8, 3, *size))

    out = ResizedCrop(min_area=1.0, max_stretch=1.0)(images, seeded())

    assert torch.equal(out, images)


@pytest.mark.parametrize("min_area", [0.25, 0.9, 1.0])
@pytest.mark.parametrize("max_stretch", [1.0, 1.33, 2.0])
def test_crops_have_the_drawn_area_and_aspect_ratio_and_stay_inside(min_area, max_stretch):
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    images = torch.stack([rows, columns]).expand(500, -1, -1, -1)

    out = ResizedCrop(min_area=min_area, max_stretch=max_stretch)(images, seeded())

    # Away from the border, one pixel of the crop is this much of the image's.
    height = (out[:, 0, 40, 32] - out[:, 0, 24, 32]) / 16
    width = (out[:, 1, 32, 40] - out[:, 1, 32, 24]) / 16
    area, stretch = height * width, height / width
    assert area.min() > min_area - 1e-3
    assert max(height.max(), width.max()) < 1 + 1e-4
    assert max(stretch.max(), 1 / stretch.min()) < max_stretch + 1e-3
    assert out.min() >= 0
    assert out.max() <= 63
    if min_area < 1:
        assert area.max() - area.min() > 0.9 * (1 - min_area)


def test_crops_reach_every_corner():
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    images = torch.stack([rows, columns]).expand(3000, -1, -1, -1)

    out = ResizedCrop(min_area=0.25, max_stretch=1.0)(images, seeded())

    top, bottom = out[:, 0, 0, 0], 63 - out[:, 0, -1, 0]
    left, right = out[:, 1, 0, 0], 63 - out[:, 1, 0, -1]
    for row, far_row in ((top, bottom), (bottom, top)):
        for column, far_column in ((left, right), (right, left)):
            assert ((row < 4) & (column < 4) & (far_row > 16) & (far_column > 16)).any()

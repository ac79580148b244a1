import numpy as np
import pytest
import torch

from leyden.errors import UserError
from leyden.tasks import mixing
from leyden.tasks.mixing import CutMix, Mixup

CLASSES = 4
MIXES = [
    found
    for found in vars(mixing).values()
    if isinstance(found, type) and found.__module__ == mixing.__name__
]


def batch_of(rows=8, size=(10, 14)):
    """Return constant images: every pixel of row 3 is 3, and its class is 3."""
    levels = torch.arange(rows).float()
    images = levels.view(-1, 1, 1, 1).expand(-1, 2, *size).clone()
    return {"images": images}, torch.arange(rows) % CLASSES


def mixed(mix, *, seed=0, **sizes):
    inputs, targets = batch_of(**sizes)
    out, probabilities = mix(inputs, targets, num_classes=CLASSES, seed=seed)
    return out["images"], probabilities


def partner_share(images):
    """Return the fraction of each image that was pasted, ``(batch,)``."""
    own = torch.arange(len(images)).view(-1, 1, 1, 1)
    return (images != own).float().mean(dim=(1, 2, 3))


def test_every_mix_is_found():
    assert {Mixup, CutMix} <= set(MIXES)


@pytest.mark.parametrize("mix", MIXES)
class TestEvery:
    @pytest.mark.parametrize("rows", [1, 2, 8])
    @pytest.mark.parametrize("size", [(10, 14), (1, 1)])
    @pytest.mark.parametrize("seed", range(5))
    def test_targets_are_probabilities_and_shapes_stay(self, mix, rows, size, seed):
        images, targets = mixed(mix(), seed=seed, rows=rows, size=size)

        assert images.shape == (rows, 2, *size)
        assert targets.shape == (rows, CLASSES)
        assert targets.min() >= 0
        assert torch.allclose(targets.sum(dim=1), torch.ones(rows))

    def test_is_a_function_of_the_seed(self, mix):
        first, again, other = (mixed(mix(), seed=seed) for seed in (3, 3, 4))

        assert all(map(torch.equal, first, again))
        assert not all(map(torch.equal, first, other))

    def test_does_not_change_its_input(self, mix):
        inputs, targets = batch_of()

        mix()(inputs, targets, num_classes=CLASSES, seed=1)

        assert torch.equal(inputs["images"], batch_of()[0]["images"])
        assert torch.equal(targets, batch_of()[1])

    def test_a_batch_of_one_row_is_not_changed(self, mix):
        images, targets = mixed(mix(), rows=1)

        assert torch.equal(images, batch_of(rows=1)[0]["images"])
        assert torch.equal(targets, torch.eye(CLASSES)[:1])

    def test_partners_are_rows_of_the_batch(self, mix):
        pairs = {tuple(sorted(each.unique().tolist())) for each in mixed(mix())[0]}

        assert len(pairs) > 1


@pytest.mark.parametrize("seed", range(20))
def test_mixup_interpolates_inputs_and_targets_by_one_coefficient(seed):
    images, targets = mixed(Mixup(alpha=1.0), seed=seed, rows=CLASSES)

    levels = torch.arange(CLASSES).float()
    assert torch.allclose(images[:, 0, 0, 0], targets @ levels, atol=1e-6)
    assert torch.equal(images, images[:, :1, :1, :1].expand_as(images))
    assert len(targets.max(dim=1).values.mul(1e4).round().unique()) <= 2


def test_mixup_interpolates_every_input():
    inputs = {"a": torch.arange(4.0), "b": torch.arange(4.0).view(4, 1) * 10}

    out, _ = Mixup(alpha=1.0)(inputs, torch.arange(4), num_classes=4, seed=0)

    assert torch.allclose(out["b"].flatten(), out["a"] * 10)
    assert not torch.equal(out["a"], inputs["a"])


@pytest.mark.parametrize(("alpha", "middle"), [(0.1, False), (50.0, True)])
def test_alpha_determines_the_coefficients(alpha, middle):
    blends = [mixed(Mixup(alpha=alpha), seed=seed)[1] for seed in range(100)]

    largest = [blend.max(dim=1).values.min().item() for blend in blends]
    assert (np.median(largest) < 0.75) == middle


@pytest.mark.parametrize("seed", range(20))
def test_cutmix_targets_follow_the_pasted_area(seed):
    images, targets = mixed(CutMix(), seed=seed, rows=CLASSES)

    own = targets.diagonal()
    assert torch.allclose(own, 1 - partner_share(images), atol=1e-6)


@pytest.mark.parametrize("seed", range(10))
def test_cutmix_pastes_one_rectangle_of_another_row_at_its_own_place(seed):
    rows, columns = 10, 14
    places = torch.arange(rows * columns).view(1, 1, rows, columns).expand(4, -1, -1, -1)
    images = places * 100 + torch.arange(4).view(4, 1, 1, 1)

    out, _ = CutMix()({"images": images}, torch.arange(4), num_classes=4, seed=seed)

    assert torch.equal(out["images"] // 100, places)
    for row, image in enumerate(out["images"][:, 0] % 100):
        pasted = image != row
        height, width = pasted.any(dim=1).sum(), pasted.any(dim=0).sum()
        assert pasted.sum() == height * width
        assert len(image[pasted].unique()) <= 1


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
def test_cutmix_pastes_into_every_corner(corner):
    pasted = [mixed(CutMix(), seed=seed)[0] != batch_of()[0]["images"] for seed in range(1000)]

    reached = torch.stack([each.flatten(0, 1).any(dim=0) for each in pasted])
    small = reached.flatten(1).sum(dim=1) < reached[0].numel() / 2
    row, column = corner
    assert reached[small][:, row, column].any()


@pytest.mark.parametrize(("mix", "message"), [(Mixup(), "'categories'"), (CutMix(), "images")])
def test_inputs_that_cannot_be_mixed_are_refused(mix, message):
    inputs = {"numbers": torch.zeros(4, 2), "categories": torch.zeros(4, 1, dtype=torch.int64)}

    with pytest.raises(UserError, match=message):
        mix(inputs, torch.tensor([0, 1, 0, 1]), num_classes=2, seed=0)

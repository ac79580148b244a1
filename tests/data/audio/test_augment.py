import pytest
import torch

from leyden.data.audio.augment import Gain, Noise, SpecAugment, TimeShift

WAVEFORMS = torch.arange(1, 101, dtype=torch.int16).repeat(50, 1) * 100
"""Fifty clips ``(batch, samples)`` that rise from 100 to 10,000."""

IMAGES = torch.ones(200, 1, 20, 30)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("augment", "rows"),
    [(TimeShift(), WAVEFORMS), (Gain(), WAVEFORMS), (Noise(), WAVEFORMS), (SpecAugment(), IMAGES)],
)
def test_the_same_seed_gives_the_same_rows(augment, rows):
    before = rows.clone()

    first, second, other = (augment(rows, generator(seed)) for seed in (1, 1, 2))

    assert (first.shape, first.dtype) == (rows.shape, rows.dtype)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert len(first.unique(dim=0)) > 10  # each row has a choice of its own
    assert torch.equal(rows, before)


def test_a_shift_is_at_most_its_share_and_fills_with_silence():
    shifted = TimeShift(max_share=0.1)(WAVEFORMS, generator())

    moves = [int((row == 5000).nonzero()) - 49 for row in shifted]
    assert (min(moves), max(moves)) == (-10, 10)
    for row, move in zip(shifted, moves, strict=True):
        assert (row == 0).sum() == abs(move)


def test_gain_stays_within_its_decibels():
    louder = Gain(max_decibels=6.0)(WAVEFORMS, generator())

    factors = louder[:, 49] / 5000
    assert factors.min().item() == pytest.approx(0.5, abs=0.05)
    assert factors.max().item() == pytest.approx(2.0, abs=0.2)


def test_gain_clips_to_the_range_of_the_dtype():
    loud = torch.tensor([[30000, -30000]] * 50, dtype=torch.int16)

    louder = Gain(max_decibels=20.0)(loud, generator())

    assert louder.max() == 32767
    assert ((louder[:, 0] > 0) & (louder[:, 1] < 0)).all()


def test_noise_has_the_given_signal_to_noise_ratio():
    tone = (8000 * torch.sin(torch.arange(8000) / 5)).to(torch.int16).repeat(20, 1)

    noisy = Noise(probability=1.0, min_decibels=20.0, max_decibels=20.0)(tone, generator())

    noise = (noisy - tone).float().square().mean(dim=1)
    ratio = 10 * torch.log10(tone.float().square().mean(dim=1) / noise)
    assert ratio.tolist() == pytest.approx([20.0] * 20, abs=0.3)


def test_noise_is_added_to_some_clips_only():
    noisy = Noise(probability=0.3)(WAVEFORMS.repeat(20, 1), generator())

    changed = (noisy != WAVEFORMS[0]).any(dim=1).float().mean()
    assert changed.item() == pytest.approx(0.3, abs=0.05)


def test_masks_are_bands_and_spans_of_limited_width():
    masked = SpecAugment(frequency_width=4, time_width=6)(IMAGES, generator())[:, 0] == 0

    bands, stretches = masked.all(dim=2).sum(dim=1), masked.all(dim=1).sum(dim=1)
    assert (bands.min(), bands.max()) == (0, 4)
    assert (stretches.min(), stretches.max()) == (0, 6)
    assert torch.equal(masked, masked.all(dim=2, keepdim=True) | masked.all(dim=1, keepdim=True))


def test_no_mask_changes_nothing():
    masked = SpecAugment(frequency_masks=0, time_masks=0)(IMAGES, generator())

    assert torch.equal(masked, IMAGES)

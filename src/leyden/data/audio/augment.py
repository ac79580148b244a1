"""Augmentations of whole batches of sounds, on the batch's device.

``TimeShift``, ``Gain`` and ``Noise`` take raw waveforms ``(batch, samples)`` of any dtype
(``augment``), ``SpecAugment`` takes normalised spectrograms ``(batch, 1, mels, frames)``
(``augment_inputs``). Each draws its random numbers per row from the given generator. ``field`` is
the name of the waveforms or spectrograms among the inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class TimeShift:
    """Shift waveforms by a random time in either direction, filling with silence.

    Attributes:
        max_share: Largest shift, as a share of the clip.
    """

    max_share: float = 0.1
    field: str = "waveforms"

    def __call__(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        """Shift each waveform by its own number of samples."""
        batch, samples = waveforms.shape
        most = int(self.max_share * samples)
        windows = nn.functional.pad(waveforms, [most, most]).unfold(1, samples, 1)
        starts = torch.randint(2 * most + 1, (batch,), generator=generator, device=waveforms.device)
        return windows[torch.arange(batch, device=waveforms.device), starts]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Scale waveforms by a random gain, clipping to the range of the dtype.

    Attributes:
        max_decibels: Largest gain in either direction.
    """

    max_decibels: float = 6.0
    field: str = "waveforms"

    def __call__(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        """Scale each waveform by its own factor."""
        decibels = self.max_decibels * (2 * _uniform(waveforms, generator) - 1)
        return _to_dtype_of(waveforms * 10 ** (decibels / 20), waveforms)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Add white noise at a random signal-to-noise ratio.

    Attributes:
        probability: Probability that noise is added to a clip.
        min_decibels: Minimum signal-to-noise ratio, that of the loudest noise.
        max_decibels: Maximum signal-to-noise ratio.
    """

    probability: float = 0.5
    min_decibels: float = 10.0
    max_decibels: float = 40.0
    field: str = "waveforms"

    def __call__(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        """Add noise to each waveform with the probability."""
        chosen = _uniform(waveforms, generator) < self.probability
        span = self.max_decibels - self.min_decibels
        ratio = self.min_decibels + span * _uniform(waveforms, generator)
        loudness = waveforms.float().square().mean(dim=1, keepdim=True).sqrt()
        white = torch.randn(waveforms.shape, generator=generator, device=waveforms.device)
        noise = white * (loudness * 10 ** (-ratio / 20) * chosen)
        return _to_dtype_of(waveforms + noise, waveforms)


@dataclass(frozen=True, kw_only=True)
class SpecAugment:
    """Mask bands of frequency and spans of time (Park et al. 2019, arXiv:1904.08779).

    Masked values are zero, the mean of normalised spectrograms. The time warping of the paper is
    omitted, because it contributes least according to the paper.

    Attributes:
        frequency_masks: Number of bands.
        frequency_width: Maximum width of a band, in mel bins.
        time_masks: Number of spans.
        time_width: Maximum length of a span, in frames.
    """

    frequency_masks: int = 1
    frequency_width: int = 8
    time_masks: int = 1
    time_width: int = 10
    field: str = "images"

    def __call__(self, spectrograms: Tensor, generator: torch.Generator) -> Tensor:
        """Mask each spectrogram at random positions of its own."""
        _, _, mels, frames = spectrograms.shape
        bands = self._spans(
            spectrograms, generator, self.frequency_masks, self.frequency_width, mels
        )
        spans = self._spans(spectrograms, generator, self.time_masks, self.time_width, frames)
        masked = bands.unsqueeze(2) | spans.unsqueeze(1)  # (batch, mels, frames)
        return spectrograms.masked_fill(masked.unsqueeze(1), 0)

    @staticmethod
    def _spans(
        spectrograms: Tensor, generator: torch.Generator, count: int, width: int, size: int
    ) -> Tensor:
        """Draw ``count`` intervals per row, as one mask ``(batch, size)``."""
        shape = (len(spectrograms), count, 1)
        device = spectrograms.device
        lengths = torch.rand(shape, generator=generator, device=device)
        lengths = (lengths * (min(width, size) + 1)).floor()  # uniform from 0 to width
        starts = torch.rand(shape, generator=generator, device=device)
        starts = (starts * (size - lengths + 1)).floor()
        position = torch.arange(size, device=device)
        return ((position >= starts) & (position < starts + lengths)).any(dim=1)


def _uniform(waveforms: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(len(waveforms), 1, generator=generator, device=waveforms.device)


def _to_dtype_of(changed: Tensor, waveforms: Tensor) -> Tensor:
    """Convert samples back to their dtype; integers are rounded and clipped."""
    if waveforms.is_floating_point():
        return changed.to(waveforms.dtype)
    limits = torch.iinfo(waveforms.dtype)
    return changed.round().clamp(limits.min, limits.max).to(waveforms.dtype)

"""Augmentations of whole batches of sound, on the batch's device.

``TimeShift``, ``Gain`` and ``Noise`` take raw waveforms ``(batch, samples)`` of any dtype
(``augment``), ``SpecAugment`` takes normalised spectrograms ``(batch, 1, mels, frames)``
(``augment_inputs``). Each draws one random choice per row from the generator it is given. ``field``
names the waveforms or spectrograms among the inputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class TimeShift:
    """Move earlier or later; what comes in from outside is silence.

    Attributes:
        max_share: farthest move, as a share of the clip.
    """

    max_share: float = 0.1
    field: str = "waveforms"

    def __call__(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        """Shift every waveform by its own number of samples."""
        batch, samples = waveforms.shape
        most = int(self.max_share * samples)
        windows = nn.functional.pad(waveforms, [most, most]).unfold(1, samples, 1)
        starts = torch.randint(2 * most + 1, (batch,), generator=generator, device=waveforms.device)
        return windows[torch.arange(batch, device=waveforms.device), starts]


@dataclass(frozen=True, kw_only=True)
class Gain:
    """Make louder or softer; what grows too loud for the dtype is clipped.

    Attributes:
        max_decibels: largest change in either direction.
    """

    max_decibels: float = 6.0
    field: str = "waveforms"

    def __call__(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        """Scale every waveform by its own factor."""
        decibels = self.max_decibels * (2 * _uniform(waveforms, generator) - 1)
        return _as_before(waveforms * 10 ** (decibels / 20), waveforms)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Add white noise to some of the clips, so much below their own loudness.

    Attributes:
        probability: share of the clips that get noise.
        min_decibels: smallest ratio of signal to noise, the loudest noise.
        max_decibels: largest ratio of signal to noise.
    """

    probability: float = 0.5
    min_decibels: float = 10.0
    max_decibels: float = 40.0
    field: str = "waveforms"

    def __call__(self, waveforms: Tensor, generator: torch.Generator) -> Tensor:
        """Add to every waveform its own noise."""
        chosen = _uniform(waveforms, generator) < self.probability
        span = self.max_decibels - self.min_decibels
        ratio = self.min_decibels + span * _uniform(waveforms, generator)
        loudness = waveforms.float().square().mean(dim=1, keepdim=True).sqrt()
        white = torch.randn(waveforms.shape, generator=generator, device=waveforms.device)
        noise = white * (loudness * 10 ** (-ratio / 20) * chosen)
        return _as_before(waveforms + noise, waveforms)


@dataclass(frozen=True, kw_only=True)
class SpecAugment:
    """Hide bands of frequency and stretches of time (Park et al. 2019, arXiv:1904.08779).

    What is hidden is set to zero, the mean of normalised spectrograms. Without the paper's time
    warping, which it found to matter least.

    Attributes:
        frequency_masks: bands to hide.
        frequency_width: widest band, in mels.
        time_masks: stretches to hide.
        time_width: longest stretch, in frames.
    """

    frequency_masks: int = 1
    frequency_width: int = 8
    time_masks: int = 1
    time_width: int = 10
    field: str = "images"

    def __call__(self, spectrograms: Tensor, generator: torch.Generator) -> Tensor:
        """Mask every spectrogram in its own places."""
        _, _, mels, frames = spectrograms.shape
        bands = self._spans(
            spectrograms, generator, self.frequency_masks, self.frequency_width, mels
        )
        stretches = self._spans(spectrograms, generator, self.time_masks, self.time_width, frames)
        hidden = bands.unsqueeze(2) | stretches.unsqueeze(1)  # (batch, mels, frames)
        return spectrograms.masked_fill(hidden.unsqueeze(1), 0)

    @staticmethod
    def _spans(
        spectrograms: Tensor, generator: torch.Generator, count: int, width: int, size: int
    ) -> Tensor:
        """Draw some intervals per row, as one mask ``(batch, size)``."""
        shape = (len(spectrograms), count, 1)
        device = spectrograms.device
        lengths = torch.rand(shape, generator=generator, device=device)
        lengths = (lengths * (min(width, size) + 1)).floor()  # 0 to width, each as likely
        starts = torch.rand(shape, generator=generator, device=device)
        starts = (starts * (size - lengths + 1)).floor()
        position = torch.arange(size, device=device)
        return ((position >= starts) & (position < starts + lengths)).any(dim=1)


def _uniform(waveforms: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(len(waveforms), 1, generator=generator, device=waveforms.device)


def _as_before(changed: Tensor, waveforms: Tensor) -> Tensor:
    """Bring samples back to their dtype; whole numbers are rounded and clipped."""
    if waveforms.is_floating_point():
        return changed.to(waveforms.dtype)
    limits = torch.iinfo(waveforms.dtype)
    return changed.round().clamp(limits.min, limits.max).to(waveforms.dtype)

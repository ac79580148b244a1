"""Log-mel spectrograms of waveforms."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.audio.files import FULL_SCALE, sample_count

Samples = TypeVar("Samples", int, Tensor, NDArray[np.int64])

FLOOR = 1e-6
"""Energy added before the logarithm, about 15 dB above the rounding noise of 16 bits."""


@dataclass(frozen=True, kw_only=True)
class Spectrogram:
    """Settings of a log-mel spectrogram, independent of the sample rate.

    Attributes:
        mels: Number of mel bins.
        window_seconds: Length of a frame: longer ones resolve pitch better, shorter ones time.
        hop_seconds: Time from frame to frame.
        min_hertz: Lowest frequency.
        max_hertz: Highest frequency; ``None`` for half the sample rate.
    """

    mels: int = 64
    window_seconds: float = 0.025
    hop_seconds: float = 0.01
    min_hertz: float = 20.0
    max_hertz: float | None = None

    def of(self, sample_rate: int) -> "LogMel":
        """Build the module for sounds of a sample rate in Hz.

        Raises:
            ValueError: If sounds of this rate have no such spectrogram.
        """
        return LogMel(self, sample_rate=sample_rate)


class LogMel(nn.Module):
    """Compute the natural logarithm of mel energies of int16 waveforms.

    The short-time Fourier transform with a Hann window, its power summed by triangular filters
    (``mel_filters``). Frames are centred on multiples of the hop, with silence beyond both ends.

    Args:
        settings: Settings of the spectrogram.
        sample_rate: Sample rate of the waveforms in Hz.
    """

    def __init__(self, settings: Spectrogram, *, sample_rate: int) -> None:
        super().__init__()
        window = sample_count(sample_rate, settings.window_seconds, option="window_seconds")
        self.mels = settings.mels
        self.hop = sample_count(sample_rate, settings.hop_seconds, option="hop_seconds")
        self.fourier = 1 << (window - 1).bit_length()  # the next power of two transforms fastest
        filters = mel_filters(
            self.mels,
            fourier=self.fourier,
            sample_rate=sample_rate,
            min_hertz=settings.min_hertz,
            max_hertz=sample_rate / 2 if settings.max_hertz is None else settings.max_hertz,
        )
        self.window = nn.Buffer(torch.hann_window(window) / FULL_SCALE)
        self.filters = nn.Buffer(torch.from_numpy(filters).float())

    def frames(self, samples: Samples) -> Samples:
        """Return the number of frames of waveforms with some number of samples."""
        return 1 + samples // self.hop

    def forward(self, waveforms: Tensor) -> Tensor:
        """Map waveforms ``(batch, samples)`` to ``(batch, 1, mels, frames)`` float32."""
        spectrum = torch.stft(
            waveforms.to(self.window.dtype),
            self.fourier,
            hop_length=self.hop,
            win_length=len(self.window),
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        power = torch.view_as_real(spectrum).square().sum(dim=3)  # (batch, fourier // 2 + 1, t)
        return torch.log(self.filters @ power + FLOOR).unsqueeze(1)


def mel_filters(
    mels: int, *, fourier: int, sample_rate: int, min_hertz: float, max_hertz: float
) -> NDArray[np.float64]:
    """Build triangular filters of equal area, evenly spaced on Slaney's mel scale.

    Slaney 1998, Auditory Toolbox, Technical Report 1998-010, ``mfcc``: the scale is linear up to
    1 kHz and logarithmic above. The same as ``librosa.filters.mel`` with its defaults.

    Args:
        mels: Number of filters.
        fourier: Size of the Fourier transform, in samples.
        sample_rate: Sample rate in Hz.
        min_hertz: Lower edge of the lowest filter.
        max_hertz: Upper edge of the highest filter.

    Returns:
        Weights ``(mels, fourier // 2 + 1)`` of the power in each bin.

    Raises:
        ValueError: If a filter has only zero weights, or the range of frequencies is impossible.
    """
    if not 0 <= min_hertz < max_hertz <= sample_rate / 2:
        raise ValueError(
            f"min_hertz and max_hertz: expected 0 <= min < max <= {sample_rate / 2:g}, half the "
            f"sample rate, got {min_hertz:g} and {max_hertz:g}"
        )
    edges = _hertz(np.linspace(_mel(min_hertz), _mel(max_hertz), mels + 2))
    lower, centre, upper = (edges[i : mels + i, np.newaxis] for i in range(3))
    bins = np.linspace(0, sample_rate / 2, fourier // 2 + 1)
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    filters = np.minimum(rising, falling).clip(min=0) * (2 / (upper - lower))
    if empty := int((filters.max(axis=1) == 0).sum()):
        raise ValueError(
            f"mels: {empty} of {mels} filters lie between the bins of a {fourier}-point Fourier "
            "transform; take fewer mels, a longer window, or a wider range of frequencies"
        )
    return filters


LINEAR_HERTZ_PER_MEL = 200 / 3
LINEAR_UP_TO = 1000.0
LOG_STEP = np.log(6.4) / 27


def _mel(hertz: float) -> float:
    if hertz < LINEAR_UP_TO:
        return hertz / LINEAR_HERTZ_PER_MEL
    return float(LINEAR_UP_TO / LINEAR_HERTZ_PER_MEL + np.log(hertz / LINEAR_UP_TO) / LOG_STEP)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = mel - LINEAR_UP_TO / LINEAR_HERTZ_PER_MEL
    linear = mel * LINEAR_HERTZ_PER_MEL
    return np.where(above < 0, linear, LINEAR_UP_TO * np.exp(LOG_STEP * above))

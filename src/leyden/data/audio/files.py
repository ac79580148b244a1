"""Reading sound files of any rate, channels and length into waveforms of one."""

import math
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from leyden.data.rows import UnreadableError
from leyden.errors import UserError

FILE_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au")

FULL_SCALE = 2**15
"""The cached value of a sample of 1."""

FILTER_CROSSINGS = 10
"""Zero crossings on each side of the resampling filter, as scipy has them."""

UNKNOWN_BYTES = (0, 2**31 - 1, 2**32 - 1)
"""What programs that write a wav into a pipe give as its length."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """The middle of a sound file.

    Attributes:
        samples: ``(samples,)`` float32 mono, within -1 and 1 at full scale.
        rate: of these samples in Hz.
        seconds: length of the whole file.
        peak: largest distance of a sample from the mean, before channels are mixed.
        clipped: share of the samples at full scale, before channels are mixed.
    """

    samples: NDArray[np.float32]
    rate: int
    seconds: float
    peak: float
    clipped: float


def sound_files(folder: Path) -> list[Path]:
    """List the sound files below a folder in a fixed order, but for hidden ones."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in FILE_SUFFIXES
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def read_sound(path: Path, *, sample_rate: int, seconds: float) -> Sound:
    """Decode as much of the middle of a file as ``fitted`` needs, and mix its channels.

    Args:
        path: the file.
        sample_rate: that the sound will be brought to, in Hz.
        seconds: length that it will be brought to.

    Raises:
        UnreadableError: the file is empty, cut short, or no sound.
        UserError: the library that reads sound is not installed.
    """
    soundfile = _library()
    try:
        with soundfile.SoundFile(path) as file:
            _check_whole(file)
            # The resampling filter looks beyond both ends.
            margin = math.ceil(FILTER_CROSSINGS * max(1.0, file.samplerate / sample_rate))
            wanted = min(file.frames, math.ceil(seconds * file.samplerate) + 2 * margin)
            if start := (file.frames - wanted) // 2:
                file.seek(start)
            samples = file.read(wanted, dtype="float32", always_2d=True)
            rate, length = file.samplerate, file.frames
    except (OSError, RuntimeError) as error:
        raise UnreadableError(_reason(path, error)) from error
    if len(samples) < wanted:
        raise UnreadableError(f"cut short: {length} samples announced, {len(samples)} found")
    if not np.isfinite(samples).all():
        raise UnreadableError("holds samples that are no finite numbers")
    return Sound(
        samples=samples.mean(axis=1),
        rate=rate,
        seconds=length / rate,
        peak=float(np.abs(samples - samples.mean(axis=0)).max()),
        clipped=float((np.abs(samples) >= _LOUDEST).mean()),
    )


def fitted(sound: Sound, *, sample_rate: int, seconds: float) -> NDArray[np.int16]:
    """Resample a sound, and cut its middle out or pad it with silence on both sides.

    Args:
        sound: as ``read_sound`` gives it for the same rate and length.
        sample_rate: to bring it to, in Hz.
        seconds: length to bring it to.

    Returns:
        ``(sample_rate * seconds,)``; what is louder than full scale is clipped.
    """
    samples = sound.samples
    if sound.rate != sample_rate:
        samples = _resampled(samples, sound.rate, sample_rate)
    length = sample_count(sample_rate, seconds)
    start = max(0, (len(samples) - length) // 2)
    samples = samples[start : start + length]
    before = (length - len(samples)) // 2
    clip = np.zeros(length, dtype=np.int16)
    scaled = np.rint(samples * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1)
    clip[before : before + len(samples)] = scaled.astype(np.int16)
    return clip


def sample_count(sample_rate: int, seconds: float) -> int:
    """Count the samples of a clip."""
    return round(sample_rate * seconds)


_LOUDEST = 1 - 2**-7
"""The largest sample of 8 bits; whatever is louder counts as full scale."""


def _resampled(samples: NDArray[np.float32], old: int, new: int) -> NDArray[np.float32]:
    from scipy.signal import resample_poly  # slow to import

    common = math.gcd(old, new)
    up, down = new // common, old // common
    resampled: NDArray[np.float32] = resample_poly(samples, up, down, window=_low_pass(up, down))
    return resampled


@cache
def _low_pass(up: int, down: int) -> NDArray[np.float32]:
    """Design the filter that scipy would design anew for every file."""
    from scipy.signal import firwin

    widest = max(up, down)
    taps = firwin(2 * FILTER_CROSSINGS * widest + 1, 1 / widest, window=("kaiser", 5.0))
    return np.asarray(taps, dtype=np.float32)


def _check_whole(file: object) -> None:
    """Refuse what libsndfile mends in silence: files that end before their header says so."""
    if getattr(file, "frames") == 0:
        raise UnreadableError("holds no samples")
    info = getattr(file, "extra_info")
    announced = re.search(r"^data : (\d+) \(should be (\d+)\)", info, re.MULTILINE)
    if announced and int(announced[1]) not in UNKNOWN_BYTES:
        raise UnreadableError(f"cut short: {announced[1]} bytes announced, {announced[2]} found")
    if "ended unexpectedly" in info:
        raise UnreadableError("cut short: its last page is missing")


def _reason(path: Path, error: Exception) -> str:
    if path.is_file() and path.stat().st_size == 0:
        return "empty file"
    return str(error).removeprefix(f"Error opening {str(path)!r}: ").rstrip(".")


def _library() -> ModuleType:
    try:
        import soundfile
    except ImportError as error:
        raise UserError(
            "Sound files are read by the library soundfile, which is not installed: "
            "pip install 'leyden[audio]'."
        ) from error
    return soundfile

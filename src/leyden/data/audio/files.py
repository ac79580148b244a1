"""Reading sound files of any rate, channels and length into waveforms of one."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.folders import FileType
from leyden.data.rows import UnreadableError
from leyden.errors import UserError

SOUND_FILES = FileType(
    noun="sound",
    suffixes=(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au"),
)

FULL_SCALE = 2**15
"""The cached value of a sample of 1."""

FILTER_CROSSINGS = 90
"""Zero crossings on each side of the resampling filter beyond which it is below 16 bits."""

MOST_TIMES = 100
"""How many times as high or low as the rate wanted that of a file may be, unless it is damaged."""

UNKNOWN_BYTES = (0, 2**31 - 1, 2**32 - 1)
"""What programs that write a wav into a pipe give as its length."""

TORN_OGG = ("Ogg : File ended unexpectedly", "Ogg: Junk after the last page")
"""What libsndfile notes of an Ogg file whose end is missing, and reads on."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A sound file, or the middle of it.

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


def read_sound(path: Path, *, sample_rate: int, seconds: float | None = None) -> Sound:
    """Decode a file, or as much of its middle as ``fitted`` needs, and mix its channels.

    Args:
        path: the file.
        sample_rate: that the sound will be brought to, in Hz.
        seconds: length that it will be brought to; ``None`` for the whole file.

    Raises:
        UnreadableError: the file is empty, cut short, of an impossible rate, or no sound.
        UserError: the library that reads sound is not installed.
    """
    soundfile = _library()
    try:
        with soundfile.SoundFile(path) as file:
            _check_whole(file)
            _check_rate(file.samplerate, sample_rate)
            wanted = file.frames
            if seconds is not None:
                # The resampling filter looks beyond both ends.
                margin = math.ceil(FILTER_CROSSINGS * max(1.0, file.samplerate / sample_rate))
                wanted = min(wanted, math.ceil(seconds * file.samplerate) + 2 * margin)
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


def resampled(sound: Sound, *, sample_rate: int) -> NDArray[np.int16]:
    """Bring a sound to another rate.

    Returns:
        ``(samples,)`` at full scale; what is louder is clipped.
    """
    samples = sound.samples
    if sound.rate != sample_rate:
        samples = _resampled(samples, sound.rate, sample_rate)
    scaled = np.rint(samples * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1)
    return scaled.astype(np.int16)


def fitted(sound: Sound, *, sample_rate: int, seconds: float) -> NDArray[np.int16]:
    """Resample a sound, and cut its middle out or pad it with silence on both sides.

    Args:
        sound: as ``read_sound`` gives it for the same rate and length.
        sample_rate: to bring it to, in Hz.
        seconds: length to bring it to.

    Returns:
        ``(sample_rate * seconds,)``, rounded.
    """
    samples = resampled(sound, sample_rate=sample_rate)
    length = sample_count(sample_rate, seconds)
    start = max(0, (len(samples) - length) // 2)
    samples = samples[start : start + length]
    before = (length - len(samples)) // 2
    return np.pad(samples, (before, length - len(samples) - before))


def sample_count(sample_rate: int, seconds: float) -> int:
    """Count the samples of a clip.

    Raises:
        ValueError: there is none.
    """
    samples = round(sample_rate * seconds)
    if samples < 1:
        raise ValueError(
            f"seconds: expected a sample of {sample_rate} Hz at least, got {seconds:g} s"
        )
    return samples


_LOUDEST = 1 - 2**-7
"""The largest sample of 8 bits; whatever is louder counts as full scale."""


def _resampled(samples: NDArray[np.float32], old: int, new: int) -> NDArray[np.float32]:
    import soxr  # comes with an extra

    resampled: NDArray[np.float32] = soxr.resample(samples, old, new)
    return resampled


def _check_whole(file: Any) -> None:
    """Refuse what libsndfile mends in silence: files that end before their header says so."""
    log = file.extra_info
    announced = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if announced and int(announced[1]) not in UNKNOWN_BYTES:
        raise UnreadableError(f"cut short: {announced[1]} bytes announced, {announced[2]} found")
    if any(sign in log for sign in TORN_OGG):
        raise UnreadableError("cut short: its last page is torn or missing")
    if file.frames == 0:
        raise UnreadableError("holds no samples")


def _check_rate(found: int, wanted: int) -> None:
    """Refuse a rate whose resampling filter would not fit into memory."""
    if not wanted <= MOST_TIMES * found <= MOST_TIMES**2 * wanted:
        raise UnreadableError(f"its rate of {found} Hz is too far from data.sample_rate={wanted}")


def _reason(path: Path, error: Exception) -> str:
    if not path.exists():
        return "no such file"
    if path.is_file() and path.stat().st_size == 0:
        return "empty file"
    return str(error).removeprefix(f"Error opening {str(path)!r}: ").rstrip(".")


def _library() -> Any:
    try:
        import soundfile  # an extra; other kinds of data do without
    except ImportError as error:
        raise UserError(
            "Sound files are read by the library soundfile, which is not installed: "
            "pip install 'leyden[audio]'."
        ) from error
    return soundfile

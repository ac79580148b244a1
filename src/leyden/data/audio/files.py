"""Decoding of sound files of any format and sample rate to mono waveforms of one rate."""

import io
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.rows import UnreadableError
from leyden.data.sources.folders import FileType
from leyden.errors import UserError, first_line

SOUND_FILES = FileType(
    noun="sound",
    suffixes=(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au"),
)

MAGIC = re.compile(
    rb"(RIFF|RIFX|RF64)....WAVE|fLaC|OggS|FORM....AIF[FC]|\.snd|dns\.|\xff[\xe0-\xff]", re.DOTALL
)
"""Beginnings of files with these suffixes, after ID3 tags. libsndfile would try more formats."""

LONGEST_MAGIC = 12
"""Length in bytes of these beginnings."""

FIRST_FRAME = 200
"""Number of bytes in which the first frame of an MP3 file holds the mark."""

STEREO_RATE = 2 * 48_000
"""Samples of all channels, per second of the longest sound, that are decoded at most."""

FULL_SCALE = 2**15
"""The cached value of a sample of 1."""

FILTER_CROSSINGS = 90
"""Zero crossings on each side of the resampling filter beyond which it is below 16 bits."""

MOST_TIMES = 100
"""Largest ratio between the rates of a file and of the waveform; beyond it a file is damaged."""

BLOCK_SAMPLES = 2**20
"""Samples of all channels that are decoded at once."""

UNKNOWN_BYTES = (0, 2**31 - 1, 2**32 - 1)
"""Lengths in the header of a wav file that was written into a pipe."""

UNKNOWN_FRAMES = 2**63 - 1
"""Length that libsndfile returns for a FLAC file whose header does not state it."""

MP3_LENGTH_TAGS = (b"Xing", b"Info", b"VBRI")
"""Marks in the first frame of an MP3 file; either means that the frame holds the file's length."""

TORN_OGG = ("Ogg : File ended unexpectedly", "Ogg: Junk after the last page")
"""Log lines of libsndfile for an Ogg file whose end is missing, which it reads regardless."""

TOP = 1 - 2**-8
"""Samples from here on are at full scale: some recorders limit a little below 1."""

FLAT_SAMPLES = 3
"""Equal samples in a row at full scale are clipping; the peak of a tone has one or two."""

EIGHT_BITS = ("PCM_S8", "PCM_U8")
"""Formats in which any loud tone has flat tops."""

OVERSHOOT = 1.125
"""Largest sample, 1 dB above full scale, that decoders of lossy formats emit without clipping."""

LOUDEST = 2.0**7
"""Samples of broken floating-point files are limited to this, so that sums stay finite."""


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A sound as it is cached, and the properties that cleaning needs.

    Attributes:
        waveform: ``(samples,)`` int16 mono at the rate asked for: the whole file or its middle.
        seconds: Length of the whole file, or a lower bound if reading stopped at ``max_seconds``.
        middle: Length of the waveform in seconds if it is only the middle of the file.
        channels: Number of channels in the file.
        channel_peak: Largest distance of a sample of any channel from the channel's mean.
        clipped: Share of the samples of these channels that are clipped.
    """

    waveform: NDArray[np.int16]
    seconds: float
    middle: float | None
    channels: int
    channel_peak: float
    clipped: float

    @property
    def peak(self) -> float:
        """Largest distance of a sample of the waveform from its mean, as a share of full scale."""
        waveform = self.waveform.astype(np.float32) / FULL_SCALE
        return float(np.abs(waveform - waveform.mean()).max())


def read_sound(
    source: Path | bytes,
    *,
    sample_rate: int,
    seconds: float | None = None,
    max_seconds: float | None = None,
    longest: float | None = None,
) -> Sound:
    """Decode a file or its middle, mix its channels and resample it.

    Lengths in headers are not trusted: memory is allocated only for samples that exist.

    Args:
        source: The file, or its content.
        sample_rate: Rate of the waveform in Hz.
        seconds: Length of the middle to keep; ``None`` for the whole file.
        max_seconds: Stop decoding a whole file soon after this length.
        longest: Refuse a longer file, before more of it is decoded; with many channels, it may be
            that much shorter. ``None`` for any length.

    Raises:
        UnreadableError: If the file is empty, truncated, of an impossible sample rate, too long, or
            not a sound.
        UserError: If the library that reads sound is not installed.
    """
    if isinstance(source, Path) and source.is_fifo():
        source = source.read_bytes()  # it is read several times
    if seconds is None:
        decoded = _decode_whole(
            source, sample_rate=sample_rate, max_seconds=max_seconds, longest=longest
        )
    else:
        decoded = _decode_middle(source, sample_rate=sample_rate, seconds=seconds, longest=longest)
    samples = decoded.samples.clip(-LOUDEST, LOUDEST)
    waveform = _resampled(samples.mean(axis=1), decoded.rate, sample_rate)
    if len(waveform) == 0:
        raise UnreadableError(f"shorter than a sample of {sample_rate} Hz")
    is_cut = False
    if seconds is not None:
        length = sample_count(sample_rate, seconds)
        is_cut = len(waveform) > length
        waveform = _middle(waveform, length)
        samples = _middle(samples, math.ceil(seconds * decoded.rate))
    return Sound(
        waveform=waveform,
        seconds=decoded.frames / decoded.rate,
        middle=seconds if is_cut else None,
        channels=samples.shape[1],
        channel_peak=float(np.abs(samples - samples.mean(axis=0)).max()),
        clipped=0.0 if decoded.subtype in EIGHT_BITS else _clipped(samples),
    )


def sample_count(sample_rate: int, seconds: float, *, option: str = "seconds") -> int:
    """Compute the number of samples in a length.

    Args:
        sample_rate: Sample rate in Hz.
        seconds: Length in seconds.
        option: Name of the length in the error message.

    Raises:
        ValueError: If it is less than one sample.
    """
    samples = round(sample_rate * seconds)
    if samples < 1:
        raise ValueError(
            f"{option}: expected a sample of {sample_rate} Hz at least, got {seconds:g} s"
        )
    return samples


@dataclass(frozen=True, kw_only=True)
class _Decoded:
    """Samples ``(frames, channels)`` float32 of a file, and properties of the whole file."""

    samples: NDArray[np.float32]
    rate: int
    frames: int
    subtype: str


def _decode_whole(
    source: Path | bytes, *, sample_rate: int, max_seconds: float | None, longest: float | None
) -> _Decoded:
    with _opened(source, sample_rate) as file:
        rate, frames = file.samplerate, _frames(file, source)
        limit = _Limit.of(file, longest)
        stop = math.inf if max_seconds is None else int(max_seconds * rate) + 1
        if frames is None:
            samples = _read(file, min(stop, limit.frames + 1))
            limit.check(len(samples))
        else:
            limit.check(frames)
            samples = _read_all(file, min(frames, stop))
        return _decoded(file, samples, frames or len(samples))


def _decode_middle(
    source: Path | bytes, *, sample_rate: int, seconds: float, longest: float | None
) -> _Decoded:
    def span(frames: int) -> tuple[int, int]:
        """Return the start and length of the middle with the margins that resampling needs."""
        margin = math.ceil(FILTER_CROSSINGS * max(1.0, rate / sample_rate))
        length = min(frames, math.ceil(seconds * rate) + 2 * margin)
        return (frames - length) // 2, length

    with _opened(source, sample_rate) as file:
        rate, frames = file.samplerate, _frames(file, source)
        limit = _Limit.of(file, longest)
        if frames is not None:
            limit.check(frames)
            start, length = span(frames)
            if start:
                file.seek(start)
            return _decoded(file, _read_all(file, length), frames)
        frames = sum(map(len, _blocks(file, limit.frames + 1)))
        limit.check(frames)
    with _opened(source, sample_rate) as file:  # libsndfile cannot rewind it
        start, length = span(frames)
        for _ in _blocks(file, start):
            pass
        return _decoded(file, _read_all(file, length), frames)


def _decoded(file: Any, samples: NDArray[np.float32], frames: int) -> _Decoded:
    return _Decoded(samples=samples, rate=file.samplerate, frames=frames, subtype=file.subtype)


@dataclass(frozen=True, kw_only=True)
class _Limit:
    """Largest length of a file.

    Attributes:
        seconds: The length in seconds.
        frames: The length in frames, which is less for many channels or a high rate.
    """

    seconds: float
    frames: float

    @classmethod
    def of(cls, file: Any, longest: float | None) -> "_Limit":
        """Compute the largest length of an open file; ``longest`` is in seconds."""
        if longest is None:
            return cls(seconds=math.inf, frames=math.inf)
        rate = min(file.samplerate, STEREO_RATE / file.channels)
        return cls(seconds=longest, frames=int(longest * rate))

    def check(self, frames: int) -> None:
        """Raise if a file is longer."""
        if frames > self.frames:
            raise UnreadableError(
                f"longer than {self.seconds:g} s, or than as many samples in many channels"
            )


@contextmanager
def _opened(source: Path | bytes, sample_rate: int) -> Iterator[Any]:
    """Open a file, and convert all errors of the decoder to ``UnreadableError``."""
    soundfile = _library()
    try:
        _check_magic(source)
        with soundfile.SoundFile(
            io.BytesIO(source) if isinstance(source, bytes) else source
        ) as file:
            # After reading, soundfile seeks, which fails at the end of a file of unknown length.
            file.seekable = lambda: False
            _check_whole(file)
            _check_rate(file.samplerate, sample_rate)
            yield file
    except UnreadableError:
        raise
    except Exception as error:  # damaged headers cause MemoryError, OverflowError and others
        raise UnreadableError(_reason(source, error)) from error


def _check_magic(source: Path | bytes) -> None:
    """Raise unless a file begins like one of the formats, so that no other decoder sees it."""
    with _stream(source) as content:
        beginning = _after_tags(content, LONGEST_MAGIC)
    if not MAGIC.match(beginning):
        raise UnreadableError("empty file" if not beginning else "Format not recognised")


def _stream(source: Path | bytes) -> IO[bytes]:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _after_tags(content: IO[bytes], length: int) -> bytes:
    """Return the first bytes of a file after its ID3 tags."""
    start = 0
    while (header := content.read(10)).startswith(b"ID3") and len(header) == 10:
        # The length of a tag is a number of four digits of 7 bits.
        start += 10 + sum(digit << 7 * place for place, digit in enumerate(header[:5:-1]))
        content.seek(start)
    content.seek(start)
    return content.read(length)


def _frames(file: Any, source: Path | bytes) -> int | None:
    """Return the length of a file, or ``None`` if its header does not hold it.

    libsndfile then estimates that of an MP3 file from its first bit rate.
    """
    is_estimate = file.format == "MP3" and not _states_length(source)
    return None if file.frames == UNKNOWN_FRAMES or is_estimate else int(file.frames)


def _states_length(mp3: Path | bytes) -> bool:
    with _stream(mp3) as content:
        first_frame = _after_tags(content, FIRST_FRAME)
    return any(tag in first_frame for tag in MP3_LENGTH_TAGS)


def _blocks(file: Any, frames: float) -> Iterator[NDArray[np.float32]]:
    """Read up to some number of frames in blocks ``(frames, channels)``.

    Memory is allocated for samples that exist, not for those that a header announces.
    """
    longest = max(1, BLOCK_SAMPLES // file.channels)
    while frames > 0:
        block = file.read(min(longest, frames), dtype="float32", always_2d=True)
        if len(block) == 0:
            return
        frames -= len(block)
        yield block


def _read(file: Any, frames: float) -> NDArray[np.float32]:
    """Read ``(frames, channels)``, or fewer if the file ends."""
    blocks = list(_blocks(file, frames))
    if not blocks:
        raise UnreadableError("holds no samples")
    samples = np.concatenate(blocks)
    if not np.isfinite(samples).all():
        raise UnreadableError("holds samples that are not finite numbers")
    return samples


def _read_all(file: Any, frames: float) -> NDArray[np.float32]:
    samples = _read(file, frames)
    if len(samples) < frames:
        raise UnreadableError(f"cut short: {frames} samples announced, {len(samples)} found")
    return samples


def _middle(samples: NDArray[Any], length: int) -> NDArray[Any]:
    start = max(0, (len(samples) - length) // 2)
    return samples[start : start + length]


def _resampled(samples: NDArray[np.float32], old: int, new: int) -> NDArray[np.int16]:
    """Resample mono samples ``(samples,)`` and convert them to 16 bits; louder ones are clipped."""
    if old != new:
        import soxr  # comes with an extra

        samples = soxr.resample(samples, old, new)
    return np.rint(samples * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def _clipped(samples: NDArray[np.float32]) -> float:
    """Compute the share of samples ``(frames, channels)`` that belong to flat tops.

    They are detected before channels are mixed and resampled, which makes flat tops uneven.
    """
    limited = samples.clip(-OVERSHOOT, OVERSHOOT)
    equal = (limited[1:] == limited[:-1]) & (np.abs(limited[1:]) >= TOP)
    begins = equal[1:] & equal[:-1]  # of FLAT_SAMPLES
    flat = np.zeros(samples.shape, dtype=bool)
    for offset in range(FLAT_SAMPLES):
        flat[offset : offset + len(begins)] |= begins
    return float(flat.mean())


def _check_whole(file: Any) -> None:
    """Refuse files that end before their header says so, which libsndfile repairs silently."""
    log = file.extra_info
    announced = re.search(r"^data : (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if announced and int(announced[1]) not in UNKNOWN_BYTES:
        raise UnreadableError(f"cut short: {announced[1]} bytes announced, {announced[2]} found")
    if any(sign in log for sign in TORN_OGG):
        raise UnreadableError("cut short: its last page is torn or missing")


def _check_rate(found: int, wanted: int) -> None:
    """Refuse a rate whose resampling filter would not fit into memory."""
    if not wanted <= MOST_TIMES * found <= MOST_TIMES**2 * wanted:
        raise UnreadableError(f"its rate of {found} Hz is too far from data.sample_rate={wanted}")


def _reason(source: Path | bytes, error: Exception) -> str:
    if isinstance(source, Path) and isinstance(error, FileNotFoundError):
        return f"no such file: {source}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return re.sub(r"^Error opening .*?: (?=[^:]+$)", "", first_line(error))


def _library() -> Any:
    try:
        import soundfile  # an optional dependency, which other kinds of data do not need
    except ImportError as error:
        raise UserError(
            "Sound files are read by the library soundfile, which is not installed: "
            "pip install 'leyden[audio]'."
        ) from error
    return soundfile

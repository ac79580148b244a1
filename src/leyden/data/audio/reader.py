"""Reading of sound files to predict on, and padding of waveforms to batches."""

import io
import wave
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from leyden.arrays import Arrays, pad_rows
from leyden.data.audio.cleaning import SoundCleaning, warn_of_fault
from leyden.data.audio.files import SOUND_FILES, Sound, read_sound, sample_count
from leyden.data.inputs import Inputs
from leyden.data.parts import Part
from leyden.data.readers import FileReader, read_files
from leyden.schema import Field

SHORTEST_FRAMES = 8
"""Frames of the shortest batch of recordings."""

SOUND_FILE = "content of a sound file (WAV, FLAC, Ogg, Opus, MP3, AIFF or AU) of any sample rate"
"""Description of a file in ``row_schema``."""


@dataclass(frozen=True, kw_only=True)
class SoundReader(FileReader):
    """Base of the readers of clips and of recordings of any length.

    Attributes:
        sample_rate: Rate in Hz that all files are resampled to.
        cleaning: Steps that warn of sounds which training would have dropped.
    """

    key: ClassVar = "sound"
    media: ClassVar = "audio"

    sample_rate: int
    cleaning: SoundCleaning = field(default_factory=SoundCleaning)

    @abstractmethod
    def decode_sound(self, source: Path | bytes) -> Sound:
        """Read a file, or the part of it that the network takes.

        Raises:
            UnreadableError: If the file is damaged, not a sound, or beyond the limits.
        """

    def files(self, paths: Sequence[str]) -> list[Path]:
        """List sound files, and those below folders."""
        return SOUND_FILES.inputs(paths)

    def read_part(self, part: Part) -> Inputs:
        """Decode sound files."""

        def read(name: str, source: Path | bytes) -> NDArray[np.int16]:
            sound = self.decode_sound(source)
            warn_of_fault(self.cleaning, sound, Path(name))
            return sound.waveform

        return read_files(part, read, self.join)

    def decode(self, source: Path | bytes) -> NDArray[np.int16]:
        """Decode a sound to a waveform ``(samples,)``."""
        return self.decode_sound(source).waveform

    def to_json(self) -> dict[str, Any]:
        """Return the settings, and those of the cleaning that concern a single sound."""
        steps = {each.name: getattr(self.cleaning, each.name) for each in fields(SoundCleaning)}
        return super().to_json() | {"cleaning": steps}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> Self:
        """Build the reader from the result of ``to_json``."""
        return cls(**{**settings, "cleaning": SoundCleaning(**settings["cleaning"])})


@dataclass(frozen=True, kw_only=True)
class ClipReader(SoundReader):
    """Reads sound files as clips of one length.

    Attributes:
        seconds: Length that all files are cut or padded to, around their middle.
    """

    kind: ClassVar = "audio"

    seconds: float

    @property
    def samples(self) -> int:
        """Number of samples of a clip."""
        return sample_count(self.sample_rate, self.seconds)

    @property
    def values(self) -> tuple[Field, ...]:
        """The samples of the clips."""
        return (
            Field(
                name="waveforms",
                dtype="int16",
                shape=("batch", self.samples),
                meaning=f"samples of one channel at {self.sample_rate} Hz",
            ),
        )

    @property
    def description(self) -> str:
        """The formats and the length."""
        return f"{SOUND_FILE}, of which the middle {self.seconds:g} s are used"

    def decode_sound(self, source: Path | bytes) -> Sound:
        """Read the middle of a file, or the whole file if it is shorter."""
        return read_sound(
            source,
            sample_rate=self.sample_rate,
            seconds=self.seconds,
            longest=self.limits.seconds,
        )

    def join(self, items: Sequence[NDArray[np.int16]]) -> dict[str, NDArray[Any]]:
        """Pad waveforms ``(samples,)`` with silence on both sides to clips of equal length."""
        clips = np.zeros((len(items), self.samples), dtype=np.int16)
        for clip, waveform in zip(clips, items, strict=True):
            start = (self.samples - len(waveform)) // 2
            clip[start : start + len(waveform)] = waveform
        return {"waveforms": clips}

    def encode(self, values: Arrays, row: int) -> bytes:
        """Encode a clip as WAV."""
        return encode_wav(values["waveforms"][row], self.sample_rate)


@dataclass(frozen=True, kw_only=True)
class SpeechReader(SoundReader):
    """Reads whole sound files, padded to the longest of a batch.

    Attributes:
        hop: Samples from one frame of the spectrogram to the next.
    """

    kind: ClassVar = "speech"

    hop: int

    @property
    def values(self) -> tuple[Field, ...]:
        """The samples of the recordings, and their lengths in frames."""
        return (
            Field(
                name="waveforms",
                dtype="int16",
                shape=("batch", "samples"),
                meaning=f"samples of one channel at {self.sample_rate} Hz, followed by zeros up to "
                "the longest recording of the batch",
                least=self.least,
                most=self.most,
            ),
            Field(
                name="frames",
                dtype="int64",
                shape=("batch",),
                meaning=f"frames of each recording: 1 + its samples // {self.hop}",
            ),
        )

    @property
    def least(self) -> int:
        """Samples of the shortest batch, of some frames, so that networks may reduce their rate."""
        return SHORTEST_FRAMES * self.hop

    @property
    def most(self) -> int | None:
        """Samples of the longest sound within the limits."""
        longest = self.limits.seconds
        return None if longest is None else sample_count(self.sample_rate, longest)

    @property
    def description(self) -> str:
        """The formats."""
        return f"{SOUND_FILE}, which is read as a whole"

    def decode_sound(self, source: Path | bytes) -> Sound:
        """Read a whole file."""
        return read_sound(source, sample_rate=self.sample_rate, longest=self.limits.seconds)

    def join(self, items: Sequence[NDArray[np.int16]]) -> dict[str, NDArray[Any]]:
        """Pad waveforms ``(samples,)`` to the longest; ``frames`` has their own lengths."""
        samples = np.array([len(waveform) for waveform in items])
        padded = pad_rows(items, least=self.least)
        return {"waveforms": padded, "frames": 1 + samples // self.hop}

    def encode(self, values: Arrays, row: int) -> bytes:
        """Encode a recording as WAV, without the padding after its last frame."""
        samples = int(values["frames"][row]) * self.hop - 1
        return encode_wav(values["waveforms"][row, :samples], self.sample_rate)


def encode_wav(waveform: NDArray[np.int16], sample_rate: int) -> bytes:
    """Encode a waveform ``(samples,)`` as a WAV file of one channel and 16 bits."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setparams((1, waveform.itemsize, sample_rate, len(waveform), "NONE", "not compressed"))
        file.writeframes(waveform.astype("<i2").tobytes())
    return content.getvalue()

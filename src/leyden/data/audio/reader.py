"""Reading of sound files to predict on, and padding of waveforms to batches."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from leyden.data.audio.cleaning import SoundCleaning, warn_of_fault
from leyden.data.audio.files import SOUND_FILES, Sound, read_sound, sample_count
from leyden.data.inputs import Inputs, Reader, read_files
from leyden.data.parts import Part
from leyden.schema import Field

SHORTEST_FRAMES = 8
"""Frames of the shortest batch of recordings."""


@dataclass(frozen=True, kw_only=True)
class SoundReader(Reader):
    """Base of the readers of clips and of recordings of any length.

    Attributes:
        sample_rate: Rate in Hz that all files are resampled to.
        cleaning: Steps that warn of sounds which training would have dropped.
    """

    sample_rate: int
    cleaning: SoundCleaning = field(default_factory=SoundCleaning)

    @abstractmethod
    def hear(self, path: Path) -> Sound:
        """Read a file, or the part of it that the network takes.

        Raises:
            UnreadableError: If the file is damaged or not a sound.
        """

    @abstractmethod
    def join(self, waveforms: Sequence[NDArray[np.int16]]) -> dict[str, NDArray[Any]]:
        """Pad waveforms ``(samples,)`` to a batch ``(batch, ...)`` by name."""

    def files(self, paths: Sequence[str]) -> list[Path]:
        """List sound files, and those below folders."""
        return SOUND_FILES.inputs(paths)

    def read_part(self, part: Part) -> Inputs:
        """Decode sound files."""

        def read(file: Path) -> NDArray[np.int16]:
            sound = self.hear(file)
            warn_of_fault(self.cleaning, sound, file)
            return sound.waveform

        return read_files(part, read, self.join)

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

    def hear(self, path: Path) -> Sound:
        """Read the middle of a file, or the whole file if it is shorter."""
        return read_sound(path, sample_rate=self.sample_rate, seconds=self.seconds)

    def join(self, waveforms: Sequence[NDArray[np.int16]]) -> dict[str, NDArray[Any]]:
        """Pad waveforms ``(samples,)`` with silence on both sides to clips of equal length."""
        clips = np.zeros((len(waveforms), self.samples), dtype=np.int16)
        for clip, waveform in zip(clips, waveforms, strict=True):
            start = (self.samples - len(waveform)) // 2
            clip[start : start + len(waveform)] = waveform
        return {"waveforms": clips}


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

    def hear(self, path: Path) -> Sound:
        """Read a whole file."""
        return read_sound(path, sample_rate=self.sample_rate)

    def join(self, waveforms: Sequence[NDArray[np.int16]]) -> dict[str, NDArray[Any]]:
        """Pad waveforms ``(samples,)`` to the longest; ``frames`` has their own lengths."""
        samples = np.array([len(waveform) for waveform in waveforms])
        padded = pad_rows(waveforms, least=self.least)
        return {"waveforms": padded, "frames": 1 + samples // self.hop}


def pad_rows(rows: Sequence[NDArray[Any]], *, least: int = 0) -> NDArray[Any]:
    """Pad rows ``(length,)`` with zeros to ``(batch, longest)``, or to ``(batch, least)``."""
    longest = max(least, *(len(row) for row in rows))
    joined = np.zeros((len(rows), longest), dtype=rows[0].dtype)
    for row, values in zip(joined, rows, strict=True):
        row[: len(values)] = values
    return joined

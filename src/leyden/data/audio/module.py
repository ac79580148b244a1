"""The audio kind: clips of one length, log-mel spectrograms, and files to predict on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.audio.cleaning import AudioCleaning
from leyden.data.audio.files import (
    FILE_SUFFIXES,
    Sound,
    fitted,
    read_sound,
    sample_count,
    sound_files,
)
from leyden.data.audio.spectrogram import LogMel, NormaliseMels
from leyden.data.base import DataModule
from leyden.data.cleaning import Cleaning
from leyden.data.rows import Part, RejectedItem, Rows, UnreadableError
from leyden.errors import UserError

CLIPS_PER_CHUNK = 256

ROWS_TO_FIT = 4096
"""As many clips give the mean of a mel bin to a hundredth of its spread; all would take minutes."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A file of a data set, before it is read.

    Attributes:
        path: the file.
        source: its name for people.
        target: its class.
        part: that the source puts it in.
        group: what must not be torn apart by a split, such as the speaker; all clips or none.
    """

    path: Path
    source: str
    target: str
    part: Part = "all"
    group: str | None = None


class AudioData(DataModule):
    """Sounds of one rate and length; a subclass lists its clips and hands them to ``read_clips``.

    Args:
        sample_rate: in Hz, that all files are resampled to.
        seconds: length that all files are cut or padded to, around their middle.
        window_seconds: of a frame of the spectrogram: longer tells pitches, shorter tells moments.
        hop_seconds: from frame to frame.
        mels: bins of the spectrogram.
        min_hertz: lowest frequency that is heard.
        max_hertz: highest frequency that is heard; half the sample rate where it is not given.
        cleaning: the cleaning steps that run.
        options: those of every data module.
    """

    raw_field = "waveforms"
    network_field = "images"

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        seconds: float = 1.0,
        window_seconds: float = 0.025,
        hop_seconds: float = 0.01,
        mels: int = 64,
        min_hertz: float = 20.0,
        max_hertz: float | None = None,
        cleaning: Cleaning | None = None,
        **options: Any,
    ) -> None:
        super().__init__(cleaning=cleaning or AudioCleaning(), **options)
        self.sample_rate = sample_rate
        self.seconds = seconds
        self.samples = sample_count(sample_rate, seconds)
        self.hop = _samples("hop_seconds", hop_seconds, sample_rate)
        self.mels = mels
        self.log_mel = partial(
            LogMel,
            sample_rate=sample_rate,
            window=_samples("window_seconds", window_seconds, sample_rate),
            hop=self.hop,
            mels=mels,
            min_hertz=min_hertz,
            max_hertz=sample_rate / 2 if max_hertz is None else max_hertz,
        )
        self.log_mel()  # tells of impossible settings before any file is read

    def fit(self, arrays: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Fit the mean and standard deviation of each mel bin, on evenly chosen training rows."""
        rows = rows[:: -(-len(rows) // ROWS_TO_FIT)]
        log_mel = self.log_mel()
        total = torch.zeros(self.mels, dtype=torch.float64)
        squares = torch.zeros_like(total)
        for start in range(0, len(rows), CLIPS_PER_CHUNK):
            chunk = arrays["waveforms"][rows[start : start + CLIPS_PER_CHUNK]]
            log_mels = log_mel(torch.from_numpy(chunk)).double()
            total += log_mels.sum(dim=(0, 1, 3))
            squares += log_mels.square().sum(dim=(0, 1, 3))
        count = len(rows) * self._frames
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        return {"mean": mean.float(), "std": std.float()}

    def normalisation(self) -> nn.Module:
        """Build the spectrogram and the fitted scaling of its bins."""
        return nn.Sequential(self.log_mel(), NormaliseMels(**self.statistics))

    def network_sizes(self) -> dict[str, Any]:
        """Size networks by the spectrogram, an image of one channel, and the number of classes."""
        shape = (1, self.mels, self._frames)
        return {"input_shape": shape, "num_outputs": len(self.class_names or ())}

    def read_inputs(self, paths: Sequence[str]) -> tuple[list[str], Tensor]:
        """Read sound files, and those below folders, as ``(rows, samples)``."""
        files = [file for path in paths for file in _input_files(Path(path))]
        clips = []
        for file in files:
            try:
                clips.append(self._fitted(self._sound(file)))
            except UnreadableError as error:
                raise UserError(
                    f"{file} can't be read as sound: {error}. Expected one of "
                    f"{', '.join(FILE_SUFFIXES)}; mend the file or leave it out of input=."
                ) from error
        return [str(file) for file in files], torch.from_numpy(np.stack(clips))

    def read_clips(self, clips: Sequence[Clip]) -> Iterator[Rows]:
        """Decode clips chunk by chunk, and run the cleaning steps that judge them one by one.

        Raises:
            UserError: no clip of some class is left.
        """
        left: set[str] = set()
        for part, members in groupby(clips, key=lambda clip: clip.part):
            listed = list(members)
            for start in range(0, len(listed), CLIPS_PER_CHUNK):
                rows = self._decode(part, listed[start : start + CLIPS_PER_CHUNK])
                left.update(rows.targets.tolist())
                yield rows
        lost = sorted({clip.target for clip in clips} - left)
        if lost and left:
            raise UserError(
                f"Not one file of {', '.join(lost)} passes the cleaning of {self.name}. Mend the "
                "files, remove the class, or relax data.cleaning."
            )

    def source_shape(self) -> dict[str, Any]:
        """Tell what shapes the cached waveforms, for ``source_settings``."""
        return {"sample_rate": self.sample_rate, "seconds": self.seconds}

    def _decode(self, part: Part, clips: Sequence[Clip]) -> Rows:
        waveforms, kept, rejected = [], [], []
        for clip in clips:
            try:
                sound = self._sound(clip.path)
            except UnreadableError as error:
                rejected.append(RejectedItem(source=clip.source, reason=str(error)))
                continue
            if fault := self._fault(sound):
                step, reason = fault
                # Figures of a published test part must remain comparable.
                item = RejectedItem(
                    source=clip.source, reason=reason, step=step, dropped=part != "test"
                )
                rejected.append(item)
                if item.dropped:
                    continue
            waveforms.append(self._fitted(sound))
            kept.append(clip)
        groups = [clip.group for clip in kept if clip.group is not None]
        return Rows(
            arrays={"waveforms": np.array(waveforms, np.int16).reshape(-1, self.samples)},
            targets=np.array([clip.target for clip in kept], dtype=str),
            part=part,
            sources=[clip.source for clip in kept],
            rejected=rejected,
            groups=np.array(groups, dtype=str) if groups else None,
        )

    @property
    def _frames(self) -> int:
        return 1 + self.samples // self.hop

    def _sound(self, path: Path) -> Sound:
        return read_sound(path, sample_rate=self.sample_rate, seconds=self.seconds)

    def _fitted(self, sound: Sound) -> NDArray[np.int16]:
        return fitted(sound, sample_rate=self.sample_rate, seconds=self.seconds)

    def _fault(self, sound: Sound) -> tuple[str, str] | None:
        return self.cleaning.fault(sound) if isinstance(self.cleaning, AudioCleaning) else None


def _samples(name: str, seconds: float, sample_rate: int) -> int:
    samples = round(seconds * sample_rate)
    if samples < 1:
        raise ValueError(f"{name}: expected a sample of {sample_rate} Hz at least, got {seconds} s")
    return samples


def _input_files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sound_files(path)
        if not files:
            raise UserError(
                f"No sound found below {path}. Expected files that end in "
                f"{', '.join(FILE_SUFFIXES)}."
            )
        return files
    if not path.is_file():
        raise UserError(f"The input {path} does not exist. Give files or folders: input=PATH.")
    return [path]

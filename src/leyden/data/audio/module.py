"""The audio kind: clips of one length, log-mel spectrograms, and files to predict on."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.audio.cleaning import AudioCleaning, fault, warn_of_fault
from leyden.data.audio.files import SOUND_FILES, Sound, fitted, read_sound, sample_count
from leyden.data.audio.spectrogram import (
    ROWS_TO_FIT,
    LogMel,
    NormaliseMels,
    Spectrogram,
    mel_statistics,
)
from leyden.data.base import DataModule
from leyden.data.cleaning.steps import Cleaning
from leyden.data.inputs import Inputs, read_files
from leyden.data.rows import GivenSplit, RejectedItem, Rows, UnreadableError
from leyden.data.sources.folders import LabelledFile
from leyden.errors import UserError

CLIPS_PER_CHUNK = 256


class AudioData(DataModule):
    """Sounds of one rate and length; a subclass lists its files and hands them to ``read_clips``.

    Args:
        sample_rate: in Hz, that all files are resampled to.
        seconds: length that all files are cut or padded to, around their middle.
        spectrogram: what the network gets of a waveform.
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
        spectrogram: Spectrogram | None = None,
        cleaning: Cleaning | None = None,
        **options: Any,
    ) -> None:
        super().__init__(cleaning=cleaning or AudioCleaning(), **options)
        self.sample_rate = sample_rate
        self.seconds = seconds
        self.samples = sample_count(sample_rate, seconds)
        self.spectrogram = spectrogram or Spectrogram()
        self.log_mel()  # tells of impossible settings before any file is read

    def log_mel(self) -> LogMel:
        """Build the spectrogram's module."""
        return self.spectrogram.of(self.sample_rate)

    def fit(self, arrays: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Fit the mean and standard deviation of each mel bin, on evenly chosen training rows."""
        rows = rows[:: -(-len(rows) // ROWS_TO_FIT)]
        log_mel = self.log_mel()
        starts = range(0, len(rows), CLIPS_PER_CHUNK)
        chunks = (arrays["waveforms"][rows[start : start + CLIPS_PER_CHUNK]] for start in starts)
        return mel_statistics(log_mel(torch.from_numpy(chunk)) for chunk in chunks)

    def normalisation(self) -> nn.Module:
        """Build the spectrogram and the fitted scaling of its bins."""
        return nn.Sequential(self.log_mel(), NormaliseMels(**self.statistics))

    def network_sizes(self) -> dict[str, Any]:
        """Size networks by the spectrogram, an image of one channel, and the number of classes."""
        log_mel = self.log_mel()
        shape = (1, log_mel.mels, log_mel.frames(self.samples))
        return {"input_shape": shape, "num_outputs": len(self.class_names or ())}

    def read_inputs(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read sound files, and those below folders, as ``(rows, samples)``."""

        def read(file: Path) -> NDArray[np.int16]:
            sound = self._sound(file)
            warn_of_fault(self.cleaning, sound, file)
            return self._fitted(sound)

        def joined(clips: list[NDArray[np.int16]]) -> dict[str, Tensor]:
            return {"waveforms": torch.from_numpy(np.stack(clips))}

        return read_files(SOUND_FILES.inputs(paths), read, joined)

    def read_clips(self, files: Sequence[LabelledFile]) -> Iterator[Rows]:
        """Decode files chunk by chunk, and run the cleaning steps that judge them one by one.

        Raises:
            UserError: no file of some class is left.
        """
        left: set[str] = set()
        for split, members in groupby(files, key=lambda file: file.split):
            listed = list(members)
            for start in range(0, len(listed), CLIPS_PER_CHUNK):
                rows = self._decode(split, listed[start : start + CLIPS_PER_CHUNK])
                left.update(rows.targets.tolist())
                yield rows
        lost = sorted({file.target for file in files} - left)
        if lost and left:
            raise UserError(
                f"Not one file of {', '.join(lost)} passes the cleaning of {self.name}. Mend the "
                "files, remove the class, or relax data.cleaning."
            )

    def source_shape(self) -> dict[str, Any]:
        """Tell what shapes the cached waveforms, for ``source_settings``."""
        return {"sample_rate": self.sample_rate, "seconds": self.seconds}

    def _decode(self, split: GivenSplit, files: Sequence[LabelledFile]) -> Rows:
        waveforms, kept, rejected = [], [], []
        for file in files:
            try:
                sound = self._sound(file.path)
            except UnreadableError as error:
                rejected.append(
                    RejectedItem(source=file.source, reason=str(error), target=file.target)
                )
                continue
            if item := fault(self.cleaning, sound, source=file.source, split=split):
                rejected.append(replace(item, target=file.target))
                if item.dropped:
                    continue
            waveforms.append(self._fitted(sound))
            kept.append(file)
        groups = [file.group for file in kept if file.group is not None]
        return Rows(
            arrays={"waveforms": np.array(waveforms, np.int16).reshape(-1, self.samples)},
            targets=np.array([file.target for file in kept], dtype=str),
            split=split,
            sources=[file.source for file in kept],
            rejected=rejected,
            groups=np.array(groups, dtype=str) if groups else None,
        )

    def _sound(self, path: Path) -> Sound:
        return read_sound(path, sample_rate=self.sample_rate, seconds=self.seconds)

    def _fitted(self, sound: Sound) -> NDArray[np.int16]:
        return fitted(sound, sample_rate=self.sample_rate, seconds=self.seconds)

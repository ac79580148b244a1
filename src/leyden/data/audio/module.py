"""The audio kind: clips of one length, log-mel spectrograms, and files to predict on."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.audio.cleaning import AudioCleaning, fault, warn_of_fault
from leyden.data.audio.files import SOUND_FILES, Sound, fitted, read_sound, sample_count
from leyden.data.audio.normalise import NormaliseMels, mel_statistics, rows_to_fit
from leyden.data.audio.spectrogram import LogMel, Spectrogram
from leyden.data.base import DataModule
from leyden.data.inputs import Inputs, read_files
from leyden.data.rows import RejectedItem, Rows
from leyden.data.sources.folders import LabelledFile
from leyden.data.sources.read_items import read_items, require_every_class

CLIPS_PER_CHUNK = 256


class AudioData(DataModule):
    """Sounds of one rate and length; a subclass lists its files and hands them to ``read_clips``.

    Args:
        sample_rate: in Hz, that all files are resampled to.
        seconds: length that all files are cut or padded to, around their middle.
        spectrogram: what the network gets of a waveform.
        options: those of every data module.
    """

    input_names: ClassVar = {"waveforms": "images"}
    cleaning: AudioCleaning
    cleaning_type = AudioCleaning

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        seconds: float = 1.0,
        spectrogram: Spectrogram | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
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
        rows = rows_to_fit(rows)
        log_mel = self.log_mel()
        starts = range(0, len(rows), CLIPS_PER_CHUNK)
        chunks = (arrays["waveforms"][rows[start : start + CLIPS_PER_CHUNK]] for start in starts)
        return mel_statistics(log_mel(torch.from_numpy(chunk)) for chunk in chunks)

    def normalisation(self) -> dict[str, nn.Module]:
        """Build the spectrogram and the fitted scaling of its bins."""
        return {"waveforms": nn.Sequential(self.log_mel(), NormaliseMels(**self.statistics))}

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

        def joined(clips: list[NDArray[np.int16]]) -> dict[str, NDArray[np.int16]]:
            return {"waveforms": np.stack(clips)}

        return read_files(SOUND_FILES.inputs(paths), read, joined)

    def read_clips(self, files: Sequence[LabelledFile]) -> Iterator[Rows]:
        """Decode files chunk by chunk, and run the cleaning steps that judge each file alone.

        Raises:
            UserError: If no file of some class is left.
        """
        return require_every_class(files, self._decode(files), name=str(self.name))

    def source_shape(self) -> dict[str, Any]:
        """Tell what shapes the cached waveforms, for ``source_settings``."""
        return {"sample_rate": self.sample_rate, "seconds": self.seconds}

    def _decode(self, files: Sequence[LabelledFile]) -> Iterator[Rows]:
        def read(file: LabelledFile) -> tuple[NDArray[np.int16], RejectedItem | None]:
            sound = self._sound(file.path)
            finding = fault(self.cleaning, sound, source=file.source, split=file.split)
            return self._fitted(sound), finding

        for chunk in read_items(files, read, per_chunk=CLIPS_PER_CHUNK):
            waveforms = np.array(chunk.values, np.int16).reshape(-1, self.samples)
            yield chunk.rows({"waveforms": waveforms})

    def _sound(self, path: Path) -> Sound:
        return read_sound(path, sample_rate=self.sample_rate, seconds=self.seconds)

    def _fitted(self, sound: Sound) -> NDArray[np.int16]:
        return fitted(sound, sample_rate=self.sample_rate, seconds=self.seconds)

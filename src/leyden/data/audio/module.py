"""The audio kind: waveforms in the cache, log-mel spectrograms for the network."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.audio.cleaning import AudioCleaning, SoundCleaning, report_fault
from leyden.data.audio.normalise import NormaliseMels, mel_statistics, rows_to_fit
from leyden.data.audio.reader import ClipReader
from leyden.data.audio.spectrogram import LogMel, Spectrogram
from leyden.data.base import DataModule
from leyden.data.features import Features
from leyden.data.rows import RejectedItem, Rows
from leyden.data.sources.folders import LabelledFile
from leyden.data.sources.read_items import read_items, require_every_class

CLIPS_PER_CHUNK = 256


class SoundData(DataModule):
    """Base of clips (``AudioData``) and of transcribed speech (``SpeechData``).

    Args:
        sample_rate: Rate in Hz that all files are resampled to.
        spectrogram: Settings of the network's input.
        options: Options of ``DataModule``.
    """

    # A spectrogram is an image of one channel, so that CNNs take it unchanged.
    input_names: ClassVar = {"waveforms": "images"}
    cleaning: SoundCleaning

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        spectrogram: Spectrogram | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sample_rate = sample_rate
        self.spectrogram = spectrogram or Spectrogram()
        self.log_mel()  # raises for impossible settings before any file is read

    def log_mel(self) -> LogMel:
        """Build the module that computes spectrograms."""
        return self.spectrogram.of(self.sample_rate)

    def normalisation(self) -> dict[str, nn.Module]:
        """Build the spectrogram and the fitted scaling of its bins."""
        scaling = NormaliseMels(mean=self.statistics["mean"], std=self.statistics["std"])
        return {"waveforms": nn.Sequential(self.log_mel(), scaling)}


class AudioData(SoundData):
    """Sounds of one rate and length; a subclass lists its files and calls ``read_clips``.

    Args:
        seconds: Length that all files are cut or padded to, around their middle.
        options: Options of ``SoundData``.
    """

    cleaning: AudioCleaning
    cleaning_type = AudioCleaning
    look = "leyden.data.look.look_at_sounds"

    def __init__(self, *, seconds: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.seconds = seconds
        self.samples = self.reader().samples

    def fit(self, arrays: dict[str, NDArray[Any]], rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Fit the mean and standard deviation of each mel bin on evenly spaced training rows."""
        rows = rows_to_fit(rows)
        log_mel = self.log_mel()
        starts = range(0, len(rows), CLIPS_PER_CHUNK)
        chunks = (arrays["waveforms"][rows[start : start + CLIPS_PER_CHUNK]] for start in starts)
        return mel_statistics(log_mel(torch.from_numpy(chunk)) for chunk in chunks)

    def network_sizes(self) -> dict[str, Any]:
        """Return the shape of spectrograms as images of one channel, and the number of classes."""
        log_mel = self.log_mel()
        shape = (1, log_mel.mels, log_mel.frames(self.samples))
        return {"input_shape": shape, "num_outputs": len(self.class_names or ())}

    def summarise(self, inputs: Mapping[str, Tensor]) -> Features:
        """Return the mean and the standard deviation of each mel bin over the frames."""
        spectrograms = inputs["images"].squeeze(1)
        std, mean = torch.std_mean(spectrograms, dim=2, correction=0)
        return Features(numbers=torch.cat([mean, std], dim=1))

    def reader(self) -> ClipReader:
        """Return the reader of clips of this length."""
        return ClipReader(
            sample_rate=self.sample_rate, seconds=self.seconds, cleaning=self.cleaning
        )

    def read_clips(self, files: Sequence[LabelledFile]) -> Iterator[Rows]:
        """Decode files chunk by chunk, and run the cleaning steps that examine single files.

        Raises:
            UserError: If no file of some class is left.
        """
        chunks = read_items(files, self._decode, per_chunk=CLIPS_PER_CHUNK)
        rows = (chunk.rows(self.reader().join(chunk.values)) for chunk in chunks)
        return require_every_class(files, rows, name=str(self.name))

    def source_shape(self) -> dict[str, Any]:
        """Return the settings that determine the cached waveforms, for ``source_settings``."""
        return {"sample_rate": self.sample_rate, "seconds": self.seconds}

    def _decode(self, file: LabelledFile) -> tuple[NDArray[np.int16], RejectedItem | None]:
        sound = self.reader().decode_sound(file.path)
        found = self.cleaning.fault(sound)
        return sound.waveform, report_fault(found, source=file.source, split=file.split)

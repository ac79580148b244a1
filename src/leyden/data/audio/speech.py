"""The speech kind: recordings of any length and what is said in them."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from leyden.data.audio.batches import SpeechBatches, pad_recordings
from leyden.data.audio.cleaning import SpeechCleaning, fault, warn_of_fault
from leyden.data.audio.files import SOUND_FILES, Sound, read_sound
from leyden.data.audio.normalise import NormaliseMels, mel_statistics, rows_to_fit
from leyden.data.audio.spectrogram import LogMel, Spectrogram
from leyden.data.audio.transcripts import clean_transcript, code_points, token_numbers, vocabulary
from leyden.data.base import DataModule
from leyden.data.cache.prepared import Cache
from leyden.data.identity import hash_names
from leyden.data.inputs import Inputs, read_files
from leyden.data.rows import GivenSplit, Ragged, RejectedItem, Rows, Split, UnreadableError

log = logging.getLogger(__name__)

RECORDINGS_PER_CHUNK = 64

Hear = Callable[[Path, float | None], Sound]
"""Reads a file, at most a little more than some seconds of it."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A recording of a data set, before it is read.

    Attributes:
        paths: files that are heard one after the other; mostly one.
        transcript: what is said.
        source: its name for people.
        split: that the source puts it in.
        group: what must not be torn apart by a split, such as the speaker; all or none.
        pause: seconds of silence between the files.
        identity: What the split goes by, if it is not the source.
    """

    paths: Sequence[Path]
    transcript: str
    source: str
    split: GivenSplit = "all"
    group: str | None = None
    pause: float = 0.0
    identity: str | None = None


class SpeechData(DataModule):
    """Transcribed speech; a subclass lists its utterances and hands them to ``read_utterances``.

    The targets are the characters of the transcripts; the vocabulary is fitted on the training
    split.

    Args:
        sample_rate: in Hz, that all files are resampled to.
        lowercase: make no difference between ``A`` and ``a``.
        spectrogram: what the network gets of a waveform.
        options: those of every data module.
    """

    input_names: ClassVar = {"waveforms": "images"}
    cleaning: SpeechCleaning
    cleaning_type = SpeechCleaning
    class_names = ()

    def __init__(
        self,
        *,
        sample_rate: int = 16000,
        lowercase: bool = True,
        spectrogram: Spectrogram | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.sample_rate = sample_rate
        self.lowercase = lowercase
        self.spectrogram = spectrogram or Spectrogram()
        self._told_unknown = False
        self.log_mel()  # tells of impossible settings before any file is read

    def log_mel(self) -> LogMel:
        """Build the spectrogram's module."""
        return self.spectrogram.of(self.sample_rate)

    def fit(self, arrays: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Fit the scaling of mel bins on evenly chosen training rows, the vocabulary on all."""
        log_mel = self.log_mel()
        chosen = rows_to_fit(rows).tolist()
        waveforms = (torch.from_numpy(arrays["waveforms"][row]) for row in chosen)
        scaling = mel_statistics(log_mel(waveform.unsqueeze(0)) for waveform in waveforms)
        return {**scaling, "tokens": list(vocabulary(arrays["sequences"], rows))}

    def normalisation(self) -> dict[str, nn.Module]:
        """Build the spectrogram and the fitted scaling of its bins."""
        scaling = NormaliseMels(mean=self.statistics["mean"], std=self.statistics["std"])
        return {"waveforms": nn.Sequential(self.log_mel(), scaling)}

    def tokens(self) -> tuple[str, ...]:
        """List the characters of the training transcripts, after CTC's blank and the unknown."""
        return tuple(self.statistics["tokens"])

    def network_sizes(self) -> dict[str, Any]:
        """Size networks by the bins of the spectrogram and the vocabulary."""
        return {"num_mels": self.spectrogram.mels, "num_tokens": len(self.tokens())}

    def dataset(self, cached: Cache) -> SpeechBatches:
        """Make what fetches padded recordings and transcripts; tell what it can't spell, once."""
        if not self._told_unknown:
            self._told_unknown = True
            for split in ("val", "test"):
                self._report_unknown(split, cached.arrays["sequences"], self.tokens())
        return SpeechBatches(cached, log_mel=self.log_mel(), tokens=self.tokens())

    def row_sizes(self, rows: NDArray[np.int64]) -> Tensor:
        """Give the number of samples of each row."""
        return torch.from_numpy(np.diff(self.cached.arrays["waveforms"].offsets)[rows])

    def read_inputs(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read sound files, and those below folders, padded to the longest of their chunk."""

        def read(file: Path) -> NDArray[np.int16]:
            sound = self.hear(file)
            warn_of_fault(self.cleaning, sound, file)
            return sound.waveform

        joined = partial(pad_recordings, log_mel=self.log_mel())
        return read_files(SOUND_FILES.inputs(paths), read, joined)

    def hear(self, path: Path, max_seconds: float | None = None) -> Sound:
        """Read a whole file, or the beginning of one that is longer than ``max_seconds``."""
        return read_sound(path, sample_rate=self.sample_rate, max_seconds=max_seconds)

    def read_utterances(
        self,
        utterances: Iterable[Utterance],
        *,
        rejected: Sequence[RejectedItem] = (),
        hear: Hear | None = None,
    ) -> Iterator[Rows]:
        """Decode utterances chunk by chunk, and run the steps that judge them one by one.

        Args:
            utterances: The utterances, split by split.
            rejected: Items that did not become utterances.
            hear: Replacement of ``hear``, such as one that remembers files of many utterances.
        """
        yield _rows([], [], [], split="all", rejected=rejected)
        for split, members in groupby(utterances, key=lambda utterance: utterance.split):
            while chunk := list(islice(members, RECORDINGS_PER_CHUNK)):
                yield self._decode(split, chunk, hear or self.hear)

    def source_shape(self) -> dict[str, Any]:
        """Tell what shapes the cached rows, for ``source_settings``."""
        return {"sample_rate": self.sample_rate, "lowercase": self.lowercase}

    def _decode(self, split: GivenSplit, utterances: Sequence[Utterance], hear: Hear) -> Rows:
        waveforms, transcripts, kept = [], [], []
        rejected: list[RejectedItem] = []
        longest = self._longest(split)
        for utterance in utterances:
            transcript = clean_transcript(utterance.transcript, lowercase=self.lowercase)
            try:
                sounds = [hear(path, longest) for path in utterance.paths]
            except UnreadableError as error:
                rejected.append(RejectedItem(source=utterance.source, reason=str(error)))
                continue
            item = self._fault(utterance, transcript, sounds)
            rejected += [item] if item else []
            if item and item.dropped:
                continue
            waveforms.append(self._joined(sounds, utterance.pause))
            transcripts.append(code_points(transcript))
            kept.append(utterance)
        return _rows(kept, waveforms, transcripts, split=split, rejected=rejected)

    def _longest(self, split: GivenSplit) -> float | None:
        """Return the seconds after which a recording is dropped and need not be decoded further."""
        steps = self.cleaning
        return steps.max_seconds if steps.too_long and split != "test" else None

    def _fault(
        self, utterance: Utterance, transcript: str, sounds: Sequence[Sound]
    ) -> RejectedItem | None:
        split = utterance.split
        for sound in sounds:
            if item := fault(self.cleaning, sound, source=utterance.source, split=split):
                return item
        seconds = sum(sound.seconds for sound in sounds)
        found = self.cleaning.transcript_fault(transcript, seconds)
        if found is None:
            return None
        step, reason = found
        # An empty transcript has no error rate, so that it can't be measured either.
        dropped = split != "test" or step == "empty"
        return RejectedItem(source=utterance.source, reason=reason, step=step, dropped=dropped)

    def _joined(self, sounds: Sequence[Sound], pause: float) -> NDArray[np.int16]:
        silence = np.zeros(round(pause * self.sample_rate), dtype=np.int16)
        return np.concatenate([piece for sound in sounds for piece in (silence, sound.waveform)])

    def _report_unknown(self, split: Split, transcripts: Ragged, tokens: tuple[str, ...]) -> None:
        rows = self.row_numbers(split).tolist()
        unknown = {row: token_numbers(transcripts[row], tokens) == 1 for row in rows}
        characters = {chr(code) for row in rows for code in transcripts[row][unknown[row]]}
        if characters:
            count = sum(bool(mask.any()) for mask in unknown.values())
            log.warning(
                "%d of %d transcripts of the %s split hold characters that no training transcript "
                "holds, which count as errors: %s",
                count,
                len(rows),
                split,
                " ".join(sorted(characters)),
            )


def _rows(
    kept: Sequence[Utterance],
    waveforms: Sequence[NDArray[np.int16]],
    transcripts: Sequence[NDArray[np.int32]],
    *,
    split: GivenSplit,
    rejected: Sequence[RejectedItem],
) -> Rows:
    groups = [utterance.group for utterance in kept if utterance.group is not None]
    return Rows(
        arrays={"waveforms": Ragged.of(waveforms, dtype=np.dtype(np.int16))},
        targets=np.zeros(len(kept), dtype=np.int64),
        sequences=Ragged.of(transcripts, dtype=np.dtype(np.int32)),
        split=split,
        sources=[utterance.source for utterance in kept],
        rejected=rejected,
        keys=hash_names(utterance.identity or utterance.source for utterance in kept),
        groups=np.array(groups, dtype=str) if groups else None,
    )

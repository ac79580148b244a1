"""The speech kind: recordings of any length with their transcripts."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from leyden.data.audio.batches import SpeechBatches
from leyden.data.audio.cleaning import SpeechCleaning, report_fault
from leyden.data.audio.files import Sound, read_sound
from leyden.data.audio.module import SoundData
from leyden.data.audio.normalise import mel_statistics, rows_to_fit
from leyden.data.audio.reader import SpeechReader
from leyden.data.audio.transcripts import clean_transcript, code_points, token_numbers, vocabulary
from leyden.data.cache.prepared import Cache
from leyden.data.rows import GivenSplit, Ragged, RejectedItem, Rows, Split
from leyden.data.sources.read_items import read_items

log = logging.getLogger(__name__)

RECORDINGS_PER_CHUNK = 64

DecodeSound = Callable[[Path, float | None], Sound]
"""Reads a file, stopping soon after some seconds unless they are ``None``."""


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """A recording of a data set, before it is read.

    Attributes:
        paths: Files that are joined one after the other; usually one.
        transcript: The spoken text.
        source: Display name of the row.
        split: Split that the source puts it in.
        group: Name of what must stay in one split, such as the speaker; all utterances have one,
            or none.
        pause: Seconds of silence before each file.
    """

    paths: Sequence[Path]
    transcript: str
    source: str
    split: GivenSplit = "all"
    group: str | None = None
    pause: float = 0.0
    target: ClassVar[None] = None
    """A transcript is not a class."""


class SpeechData(SoundData):
    """Transcribed speech; a subclass lists its utterances and calls ``read_utterances``.

    The targets are the characters of the transcripts; the vocabulary is fitted on the training
    split.

    Args:
        lowercase: Whether transcripts are converted to lower case.
        options: Options of ``SoundData``.
    """

    cleaning: SpeechCleaning
    cleaning_type = SpeechCleaning
    look = "leyden.data.look.look_at_speech"
    class_names = ()

    def __init__(self, *, lowercase: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.lowercase = lowercase
        self._has_warned = False

    def fit(self, arrays: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Fit the scaling of mel bins on evenly spaced training rows, the vocabulary on all."""
        log_mel = self.log_mel()
        chosen = rows_to_fit(rows).tolist()
        waveforms = (torch.from_numpy(arrays["waveforms"][row]) for row in chosen)
        scaling = mel_statistics(log_mel(waveform.unsqueeze(0)) for waveform in waveforms)
        return {**scaling, "tokens": list(vocabulary(arrays["sequences"], rows))}

    def tokens(self) -> tuple[str, ...]:
        """Return CTC's blank, the unknown character, and those of the training transcripts."""
        return tuple(self.statistics["tokens"])

    def network_sizes(self) -> dict[str, Any]:
        """Return the number of mel bins and the size of the vocabulary."""
        return {"num_mels": self.spectrogram.mels, "num_tokens": len(self.tokens())}

    def readable_targets(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the transcripts of rows ``(n,)``."""
        transcripts = self.cached.arrays["sequences"]
        return ["".join(map(chr, transcripts[row])) for row in rows.tolist()]

    def dataset(self, cached: Cache) -> SpeechBatches:
        """Build the dataset of padded recordings; warn once of characters without a token."""
        if not self._has_warned:
            self._has_warned = True
            for split in ("val", "test"):
                self._warn_of_unknown(split, cached.arrays["sequences"], self.tokens())
        return SpeechBatches(cached, reader=self.reader(), tokens=self.tokens())

    def row_sizes(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the number of samples of each row, ``(rows,)``."""
        return torch.from_numpy(np.diff(self.cached.arrays["waveforms"].offsets)[rows])

    def reader(self) -> SpeechReader:
        """Return the reader of whole files."""
        return SpeechReader(
            sample_rate=self.sample_rate, hop=self.log_mel().hop, cleaning=self.cleaning
        )

    def decode_sound(self, path: Path, max_seconds: float | None = None) -> Sound:
        """Read a whole file, or the beginning of one that is longer than ``max_seconds``."""
        return read_sound(path, sample_rate=self.sample_rate, max_seconds=max_seconds)

    def read_utterances(
        self, utterances: Iterable[Utterance], *, decode_sound: DecodeSound | None = None
    ) -> Iterator[Rows]:
        """Decode utterances chunk by chunk, and run the cleaning steps that examine single ones.

        Args:
            utterances: The utterances, split by split.
            decode_sound: Replacement of the method, such as one that caches files of many
                utterances.
        """
        read = partial(self._decode, decode_sound=decode_sound or self.decode_sound)
        for chunk in read_items(utterances, read, per_chunk=RECORDINGS_PER_CHUNK):
            waveforms, transcripts = zip(*chunk.values, strict=True) if chunk.values else ((), ())
            yield chunk.rows(
                {"waveforms": Ragged.of(waveforms, dtype=np.dtype(np.int16))},
                sequences=Ragged.of(transcripts, dtype=np.dtype(np.int32)),
            )

    def source_shape(self) -> dict[str, Any]:
        """Return the settings that determine the cached rows, for ``source_settings``."""
        return {"sample_rate": self.sample_rate, "lowercase": self.lowercase}

    def _decode(
        self, utterance: Utterance, *, decode_sound: DecodeSound
    ) -> tuple[tuple[NDArray[np.int16], NDArray[np.int32]], RejectedItem | None]:
        """Return the waveform and the transcript's code points, and the finding, if any."""
        transcript = clean_transcript(utterance.transcript, lowercase=self.lowercase)
        longest = self._longest(utterance.split)
        sounds = [decode_sound(path, longest) for path in utterance.paths]
        row = self._joined(sounds, utterance.pause), code_points(transcript)
        return row, self._fault(utterance, transcript, sounds)

    def _longest(self, split: GivenSplit) -> float | None:
        """Return the seconds after which a recording is dropped and need not be decoded further."""
        steps = self.cleaning
        return steps.max_seconds if steps.too_long and split != "test" else None

    def _fault(
        self, utterance: Utterance, transcript: str, sounds: Sequence[Sound]
    ) -> RejectedItem | None:
        faults = [self.cleaning.fault(sound) for sound in sounds]
        seconds = sum(sound.seconds for sound in sounds)
        faults.append(self.cleaning.transcript_fault(transcript, seconds))
        found = next(filter(None, faults), None)
        return report_fault(found, source=utterance.source, split=utterance.split)

    def _joined(self, sounds: Sequence[Sound], pause: float) -> NDArray[np.int16]:
        silence = np.zeros(round(pause * self.sample_rate), dtype=np.int16)
        return np.concatenate([piece for sound in sounds for piece in (silence, sound.waveform)])

    def _warn_of_unknown(self, split: Split, transcripts: Ragged, tokens: tuple[str, ...]) -> None:
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

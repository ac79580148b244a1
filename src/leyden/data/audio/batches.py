"""Batches of recordings of uneven length."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from leyden.arrays import pad_rows
from leyden.batch import Batch, as_tensors
from leyden.data.audio.reader import SpeechReader
from leyden.data.audio.transcripts import token_numbers
from leyden.data.cache.prepared import Cache


class SpeechBatches(Dataset[Batch]):
    """Fetch whole batches of recordings, padded to the longest, with their transcripts.

    Inputs: ``waveforms``, int16 ``(batch, samples)``, and ``frames``, int64 ``(batch,)``, the
    number of frames of each spectrogram without padding.

    Args:
        cached: Recordings and transcripts.
        reader: Reader that pads the recordings.
        tokens: Vocabulary of the transcripts.
    """

    def __init__(self, cached: Cache, *, reader: SpeechReader, tokens: tuple[str, ...]) -> None:
        self.waveforms = cached.arrays["waveforms"]
        self.transcripts = cached.arrays["sequences"]
        self.reader = reader
        self.tokens = tokens

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        numbers = [token_numbers(self.transcripts[row], self.tokens) for row in rows.tolist()]
        return Batch(
            inputs=as_tensors(self.reader.join([self.waveforms[row] for row in rows.tolist()])),
            targets=torch.from_numpy(pad_rows(numbers)),
            rows=rows,
            seed=seed,
        )

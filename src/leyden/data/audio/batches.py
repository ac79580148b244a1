"""Batches of recordings of uneven length."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch, as_tensors
from leyden.data.audio.spectrogram import LogMel
from leyden.data.audio.transcripts import token_numbers
from leyden.data.cache.prepared import Cache


class SpeechBatches(Dataset[Batch]):
    """Fetch whole batches of recordings, padded to the longest, with their transcripts.

    Inputs: ``waveforms``, int16 ``(batch, samples)``, and ``frames``, int64 ``(batch,)``, the
    number of frames of each spectrogram without padding.

    Args:
        cached: Recordings and transcripts.
        log_mel: Module that counts the frames.
        tokens: Vocabulary of the transcripts.
    """

    def __init__(self, cached: Cache, *, log_mel: LogMel, tokens: tuple[str, ...]) -> None:
        self.waveforms = cached.arrays["waveforms"]
        self.transcripts = cached.arrays["sequences"]
        self.log_mel = log_mel
        self.tokens = tokens

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        numbers = [token_numbers(self.transcripts[row], self.tokens) for row in rows.tolist()]
        return Batch(
            inputs=as_tensors(
                pad_recordings([self.waveforms[row] for row in rows.tolist()], self.log_mel)
            ),
            targets=torch.from_numpy(_padded(numbers)),
            rows=rows,
            seed=seed,
        )


def pad_recordings(
    waveforms: Sequence[NDArray[np.int16]], log_mel: LogMel
) -> dict[str, NDArray[Any]]:
    """Pad waveforms ``(samples,)`` to a batch of inputs as in ``SpeechBatches``."""
    samples = np.array([len(waveform) for waveform in waveforms])
    return {"waveforms": _padded(waveforms), "frames": log_mel.frames(samples)}


def _padded(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    joined = np.zeros((len(rows), max(len(row) for row in rows)), dtype=rows[0].dtype)
    for row, values in zip(joined, rows, strict=True):
        row[: len(values)] = values
    return joined

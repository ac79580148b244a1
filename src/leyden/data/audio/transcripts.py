"""Transcripts as numbers, and batches of recordings with them."""

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from leyden.batch import Batch
from leyden.data.audio.spectrogram import LogMel
from leyden.data.cache.prepared import Cache
from leyden.data.rows import Ragged

BLANK = ""
"""Number 0: what CTC puts between characters."""

UNKNOWN = "\ufffd"
"""Number 1: any character that no training transcript holds, so that it counts as an error."""


def mended(transcript: str, *, lowercase: bool) -> str:
    """Bring a transcript to Unicode's normal form C with single spaces."""
    words = unicodedata.normalize("NFC", transcript).split()
    return " ".join(words).lower() if lowercase else " ".join(words)


def code_points(transcript: str) -> NDArray[np.int32]:
    """Give the number of each character in Unicode, ``(length,)``."""
    return np.array([ord(character) for character in transcript], dtype=np.int32)


def vocabulary(transcripts: Ragged, rows: NDArray[np.int64]) -> tuple[str, ...]:
    """List the tokens of some transcripts: their characters in order, after blank and unknown."""
    used = np.unique(np.concatenate([transcripts[row] for row in rows.tolist()]))
    return (BLANK, UNKNOWN, *map(chr, used))


def token_numbers(codes: NDArray[np.int32], tokens: tuple[str, ...]) -> NDArray[np.int64]:
    """Number characters ``(length,)`` by a vocabulary."""
    known = code_points("".join(tokens[2:]))
    nearest = np.searchsorted(known, codes).clip(max=len(known) - 1)
    return np.where(known[nearest] == codes, nearest + 2, 1)


class SpeechBatches(Dataset[Batch]):
    """Fetches a whole batch of recordings, padded to the longest, with their transcripts.

    Inputs: ``waveforms``, int16 ``(batch, samples)``, and ``frames``, int64 ``(batch,)``, the
    frames of each spectrogram that are no padding.

    Args:
        cached: the recordings and transcripts.
        log_mel: counts frames.
        tokens: the vocabulary.
    """

    def __init__(self, cached: Cache, *, log_mel: LogMel, tokens: tuple[str, ...]) -> None:
        self.waveforms: Ragged = cached.arrays["waveforms"]
        self.transcripts: Ragged = cached.arrays["sequences"]
        self.log_mel = log_mel
        self.tokens = tokens

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        seed, rows = key
        numbers = [token_numbers(self.transcripts[row], self.tokens) for row in rows.tolist()]
        return Batch(
            inputs=recordings([self.waveforms[row] for row in rows.tolist()], self.log_mel),
            targets=_padded(numbers),
            rows=rows,
            seed=seed,
        )


def recordings(waveforms: list[NDArray[np.int16]], log_mel: LogMel) -> dict[str, Tensor]:
    """Join waveforms ``(samples,)`` to the inputs that ``SpeechBatches`` gives."""
    samples = torch.tensor([len(waveform) for waveform in waveforms])
    return {"waveforms": _padded(waveforms), "frames": log_mel.frames(samples)}


def _padded(rows: Sequence[NDArray[Any]]) -> Tensor:
    joined = np.zeros((len(rows), max(len(row) for row in rows)), dtype=rows[0].dtype)
    for row, values in zip(joined, rows, strict=True):
        row[: len(values)] = values
    return torch.from_numpy(joined)

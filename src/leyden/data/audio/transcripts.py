"""Transcripts as sequences of token numbers."""

import unicodedata

import numpy as np
from numpy.typing import NDArray

from leyden.data.rows import Ragged

BLANK = ""
"""Token 0: the blank of CTC."""

UNKNOWN = "\ufffd"
"""Token 1: every character that is in no training transcript, so that it counts as an error."""


def clean_transcript(transcript: str, *, lowercase: bool) -> str:
    """Return a transcript in Unicode's normal form C with single spaces.

    >>> clean_transcript(" Guten  Tag", lowercase=True)
    'guten tag'
    """
    words = unicodedata.normalize("NFC", transcript).split()
    return " ".join(words).lower() if lowercase else " ".join(words)


def code_points(transcript: str) -> NDArray[np.int32]:
    """Return the code point of each character, int32 ``(length,)``.

    >>> code_points("ab").tolist()
    [97, 98]
    """
    return np.array([ord(character) for character in transcript], dtype=np.int32)


def vocabulary(transcripts: Ragged, rows: NDArray[np.int64]) -> tuple[str, ...]:
    """Return the tokens of some transcripts: blank, unknown, and the sorted characters.

    Args:
        transcripts: Code points of all transcripts.
        rows: Row numbers ``(rows,)`` of the training split.
    """
    used = np.unique(np.concatenate([transcripts[row] for row in rows.tolist()]))
    return (BLANK, UNKNOWN, *map(chr, used))


def token_numbers(codes: NDArray[np.int32], tokens: tuple[str, ...]) -> NDArray[np.int64]:
    """Convert code points ``(length,)`` to token numbers, int64 ``(length,)``.

    >>> token_numbers(code_points("bay"), (BLANK, UNKNOWN, "a", "b")).tolist()
    [3, 2, 1]
    """
    known = code_points("".join(tokens[2:]))
    nearest = np.searchsorted(known, codes).clip(max=len(known) - 1)
    return np.where(known[nearest] == codes, nearest + 2, 1)

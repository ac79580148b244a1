"""Damaged sound files: whatever a decoder raises, a run continues without the file."""

import os
from contextlib import suppress

import numpy as np
import pytest
import soundfile

from leyden.data.audio.cleaning import AudioCleaning
from leyden.data.audio.files import read_sound
from leyden.data.rows import UnreadableError

ROUNDS = int(os.environ.get("LEYDEN_FUZZ_ROUNDS", "100"))

HEADER_BYTES = 64
"""Number of bytes in which most changes are made, because they have the most effect there."""

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")


def damaged(content, random):
    """Change some bytes, mostly of the header, and cut or lengthen the file."""
    changed = bytearray(content)
    for _ in range(random.integers(1, 8)):
        end = HEADER_BYTES if random.random() < 0.7 else len(changed)
        start = random.integers(end)
        length = random.integers(1, 9)
        fill = random.choice([b"\0", b"\xff", None])
        changed[start : start + length] = random.bytes(length) if fill is None else fill * length
    match random.integers(4):
        case 0:
            del changed[random.integers(len(changed)) :]
        case 1:
            changed += random.bytes(100)
    return bytes(changed)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_files_are_read_or_unreadable(tmp_path, suffix):
    random = np.random.default_rng(SUFFIXES.index(suffix))
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, random.normal(0, 0.1, (4000, 2)), 16000)
    content = path.read_bytes()

    for _ in range(ROUNDS):
        path.write_bytes(damaged(content, random))
        for seconds in (None, 0.1):
            with suppress(UnreadableError):
                sound = read_sound(path, sample_rate=16000, seconds=seconds, max_seconds=1.0)
                AudioCleaning().fault(sound)

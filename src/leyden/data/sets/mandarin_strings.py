"""Strings of spoken Mandarin syllables, for small-scale speech recognition."""

from collections.abc import Iterator, Sequence
from functools import cache as remember
from pathlib import Path
from typing import Any

import numpy as np

from leyden.data.audio.speech import SpeechData, Utterance
from leyden.data.identity import hash_names
from leyden.data.rows import SPLITS, Rows, Split
from leyden.data.sets.mandarin_tones import SpokenSyllable, spoken_syllables
from leyden.data.splits import Population, Splits
from leyden.files import DataPath, file_state

TONE_MARKS = {"1": "ˉ", "2": "ˊ", "3": "ˇ", "4": "ˋ"}  # noqa: RUF001

MOST_SYLLABLES = 4

LONGEST_PAUSE = 0.1
"""Maximum silence in seconds between syllables."""


class MandarinStrings(SpeechData):
    """Strings of two to four clips of one speaker, with transcripts in zhuyin with tone marks.

    The clips are split first, by syllable: strings of the validation and test splits have no
    syllable in common with those of the training split. The words of a transcript are syllables, so
    the word error rate is the syllable error rate.

    Args:
        root: Folder that holds the syllables' folders; ``None`` for that of Debian's
            ``gcin-voice``.
        strings: Number of strings in all splits together, at least 10.
        options: Options of ``SpeechData``.

    Raises:
        ValueError: If ``strings`` is less than 10.
    """

    def __init__(
        self, *, root: DataPath | None = None, strings: int = 4000, **options: Any
    ) -> None:
        super().__init__(**options)
        if strings < 10:
            raise ValueError(f"strings must be at least 10, got {strings}")
        self.root = Path(root).expanduser() if root else None
        self.strings = strings

    def source_settings(self) -> dict[str, Any]:
        """Return the state of every clip, and the settings that determine the strings.

        Raises:
            UserError: If the clips are missing.
        """
        clips = spoken_syllables(self.root)
        files = [(clip.source, *file_state(clip.path)) for clip in clips]
        how = {"strings": self.strings, "splitter": repr(self.splitter)}
        return {"files": files} | how | self.source_shape()

    def read(self) -> Iterator[Rows]:
        """Yield the strings, split by split.

        Raises:
            UserError: If the clips are missing.
        """
        return self.read_utterances(self.utterances(), decode_sound=remember(self.decode_sound))

    def assign(self, rows: Population) -> Splits:
        """Return the splits that the strings were drawn for."""
        return dict(zip(SPLITS, rows.given(), strict=True))

    def utterances(self) -> Iterator[Utterance]:
        """Draw the strings, split by split, from a fixed seed.

        Raises:
            UserError: If the clips are missing.
        """
        clips = spoken_syllables(self.root)
        splits = self.splitter.split(
            Population(
                rows=np.arange(len(clips)),
                keys=hash_names(clip.syllable for clip in clips),
                targets=np.zeros(len(clips)),
                splits=np.zeros(len(clips), np.uint8),
            )
        )
        random = np.random.default_rng(0)
        for split in SPLITS:
            members = splits[split]
            count = round(self.strings * len(members) / len(clips))
            yield from _strings(split, [clips[row] for row in members], count, random)


def _strings(
    split: Split, clips: Sequence[SpokenSyllable], count: int, random: np.random.Generator
) -> Iterator[Utterance]:
    speakers = sorted({clip.path.stem for clip in clips})
    by_speaker = [[clip for clip in clips if clip.path.stem == name] for name in speakers]
    for number in range(count):
        own = by_speaker[number % len(speakers)]
        length = random.integers(2, MOST_SYLLABLES + 1)
        chosen = [own[index] for index in random.integers(len(own), size=length)]
        yield Utterance(
            paths=[clip.path for clip in chosen],
            transcript=" ".join(clip.syllable + TONE_MARKS[clip.tone] for clip in chosen),
            source=" + ".join(clip.source for clip in chosen),
            split=split,
            pause=random.uniform(0, LONGEST_PAUSE),
        )

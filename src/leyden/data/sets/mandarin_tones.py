"""Spoken Mandarin syllables: which tone, which initial, for syllables never heard before."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from leyden.data.audio.files import SOUND_FILES
from leyden.data.audio.module import AudioData
from leyden.data.rows import Rows
from leyden.data.sources.folders import LabelledFile
from leyden.errors import UserError
from leyden.files import file_state

SYSTEM_FOLDER = Path("/usr/share/gcin-voice/ogg")
"""Where Debian's package ``gcin-voice`` puts the files."""

NEUTRAL = "1"
FIRST = "1"
CONTOURS = ("2", "3", "4")
"""How a folder's name ends: the neutral tone in 1, the first tone in no digit."""

INITIALS = "ㄅㄆㄇㄈㄉㄊㄋㄌㄍㄎㄏㄐㄑㄒㄓㄔㄕㄖㄗㄘㄙ"

TARGETS = ("tone", "initial")


@dataclass(frozen=True, kw_only=True)
class SpokenSyllable:
    """A clip of Debian's package.

    Attributes:
        path: the file; its stem is the speaker.
        source: its path below the package's folder.
        syllable: in zhuyin, without the tone.
        tone: ``1`` to ``4``, or ``neutral``.
    """

    path: Path
    source: str
    syllable: str
    tone: str


class MandarinTones(AudioData):
    """2,334 clips of two speakers: every syllable of Mandarin in the four tones that it has.

    Clips of a syllable, whatever the tone and the speaker, stay in one split: what is measured is
    tone on syllables that were not heard in training. The neutral tone (24 clips) is left out.

    Source: Debian package ``gcin-voice``, ``<zhuyin><tone>/<speaker>.ogg``; speaker 3 under
    GPL-3/LGPL-3, speaker 5 under CC-BY-3.0.

    Args:
        root: folder that holds the syllables' folders; that of Debian's package by default.
        target: ``tone`` (4 classes), or ``initial``: the consonant that the syllable begins with
            (21 classes; syllables that begin with a vowel are left out).
        options: those of all sounds.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        target: Literal["tone", "initial"] = "tone",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if target not in TARGETS:
            raise ValueError(f"target: expected {' or '.join(TARGETS)}, got {target!r}")
        self.root = Path(root).expanduser() if root else None
        self.target = target

    def source_settings(self) -> dict[str, Any]:
        """Fingerprint every file by its path, size and time, and what shapes the rows."""
        files = [(clip.source, *file_state(clip.path)) for clip in self._clips()]
        return {"files": files, "target": self.target} | self.source_shape()

    def read(self) -> Iterator[Rows]:
        """Decode the syllables in the order of their names."""
        return self.read_clips(list(self._clips()))

    def _clips(self) -> Iterator[LabelledFile]:
        for clip in spoken_syllables(self.root):
            target = clip.tone if self.target == "tone" else clip.syllable[0]
            if self.target == "tone" or target in INITIALS:
                yield LabelledFile(
                    path=clip.path, source=clip.source, target=target, group=clip.syllable
                )


def spoken_syllables(root: Path | None) -> list[SpokenSyllable]:
    """List the clips of Debian's package in a fixed order, without the neutral tone.

    Args:
        root: folder that holds the syllables' folders; ``None`` for that of the package.

    Raises:
        UserError: they are not there.
    """
    folder = root or SYSTEM_FOLDER
    if not (folder.is_dir() and any(folder.glob("[ㄅ-ㄩ]*/*.ogg"))):
        raise UserError(
            f"The Mandarin syllables are not in {folder}: expected folders such as ㄇㄚ3 with .ogg "
            "files. Run apt-get install gcin-voice, or give data.root=PATH."
        )
    clips = []
    for path in SOUND_FILES.below(folder):
        syllable, tone = split_tone(path.parent.name)
        source = path.relative_to(folder).as_posix()
        clips.append(SpokenSyllable(path=path, source=source, syllable=syllable, tone=tone))
    return [clip for clip in clips if clip.tone != "neutral"]


def split_tone(name: str) -> tuple[str, str]:
    """Split a folder's name into the syllable and its tone, ``1`` to ``4`` or ``neutral``."""
    syllable = name.rstrip("1234")
    mark = name.removeprefix(syllable)
    return syllable, "neutral" if mark == NEUTRAL else mark or FIRST

"""Spoken Mandarin syllables, to classify by tone or initial."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from leyden.data.audio.files import SOUND_FILES
from leyden.data.audio.module import AudioData
from leyden.data.rows import Rows
from leyden.data.sources.folders import LabelledFile
from leyden.errors import UserError
from leyden.files import DataPath, file_state

SYSTEM_FOLDER = Path("/usr/share/gcin-voice/ogg")
"""Folder where Debian's package ``gcin-voice`` installs the files."""

NEUTRAL = "1"
"""Mark of the neutral tone at the end of a folder's name; the first tone has no mark."""

INITIALS = "ㄅㄆㄇㄈㄉㄊㄋㄌㄍㄎㄏㄐㄑㄒㄓㄔㄕㄖㄗㄘㄙ"

TARGETS = ("tone", "initial")


@dataclass(frozen=True, kw_only=True)
class SpokenSyllable:
    """Clip of Debian's package.

    Attributes:
        path: Path of the file, whose stem is the speaker.
        source: Path below the package's folder.
        syllable: Syllable in zhuyin without the tone.
        tone: ``1`` to ``4``, or ``neutral``.
    """

    path: Path
    source: str
    syllable: str
    tone: str


class MandarinTones(AudioData):
    """2,334 clips of two speakers: every syllable of Mandarin in those of the four tones it has.

    All clips of a syllable stay in one split, so that the network is tested on syllables that are
    not in the training split. The neutral tone (24 clips) is omitted.

    Source: Debian package ``gcin-voice``, ``<zhuyin><tone>/<speaker>.ogg``; speaker 3 under
    GPL-3/LGPL-3, speaker 5 under CC-BY-3.0.

    Args:
        root: Folder that holds the syllables' folders; ``None`` for that of Debian's package.
        target: ``tone`` (4 classes), or ``initial`` for the consonant that the syllable begins with
            (21 classes; syllables that begin with a vowel are omitted).
        options: Options of ``AudioData``.

    Raises:
        ValueError: If ``target`` is unknown.
    """

    def __init__(
        self,
        *,
        root: DataPath | None = None,
        target: Literal["tone", "initial"] = "tone",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if target not in TARGETS:
            raise ValueError(f"target: expected {' or '.join(TARGETS)}, got {target!r}")
        self.root = Path(root).expanduser() if root else None
        self.target = target

    def source_settings(self) -> dict[str, Any]:
        """Return the state of every file, and the settings that determine the rows.

        Raises:
            UserError: If the files are missing.
        """
        files = [(clip.source, *file_state(clip.path)) for clip in self._clips()]
        return {"files": files, "target": self.target} | self.source_shape()

    def read(self) -> Iterator[Rows]:
        """Yield the decoded clips in the order of their paths.

        Raises:
            UserError: If the files are missing.
        """
        return self.read_clips(list(self._clips()))

    def _clips(self) -> Iterator[LabelledFile]:
        for clip in spoken_syllables(self.root):
            target = clip.tone if self.target == "tone" else clip.syllable[0]
            if self.target == "tone" or target in INITIALS:
                yield LabelledFile(
                    path=clip.path, source=clip.source, target=target, group=clip.syllable
                )


def spoken_syllables(root: Path | None) -> list[SpokenSyllable]:
    """Return the clips of Debian's package in a fixed order, without the neutral tone.

    Args:
        root: Folder that holds the syllables' folders; ``None`` for that of the package.

    Raises:
        UserError: If the folder holds no syllables.
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
    """Split a folder's name into the syllable and its tone, ``1`` to ``4`` or ``neutral``.

    Example:
        >>> split_tone("ㄇㄚ3"), split_tone("ㄇㄚ"), split_tone("ㄇㄚ1")
        (('ㄇㄚ', '3'), ('ㄇㄚ', '1'), ('ㄇㄚ', 'neutral'))
    """
    syllable = name.rstrip("1234")
    mark = name.removeprefix(syllable)
    return syllable, "neutral" if mark == NEUTRAL else mark or "1"

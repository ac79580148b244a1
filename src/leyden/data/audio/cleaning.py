"""Cleaning steps that examine each sound alone, by its cached waveform."""

import logging
from dataclasses import dataclass
from pathlib import Path

from leyden.data.audio.files import Sound
from leyden.data.cleaning.steps import Cleaning
from leyden.data.rows import GivenSplit, RejectedItem

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SoundCleaning(Cleaning):
    """Cleaning steps of every kind of data, and those that examine each sound.

    Silence and clipping are measured on what is cached: the middle of a file that is cut. Faulty
    sounds of a test split that the source gives are reported, but kept.

    Attributes:
        silent: Drop sounds that are silent after their channels are mixed.
        clipped: Drop sounds whose recording was clipped.
        too_short: Drop files that end before anything can be heard.
        min_peak: Smallest peak of a sound, as a share of full scale; 0.001 is -60 dB.
        max_clipped: Largest share of clipped samples: three or more equal ones in a row at full
            scale. Clipping cannot be detected in 8-bit files, and hardly in lossy formats.
        min_seconds: Shortest length of a file.
    """

    silent: bool = True
    clipped: bool = True
    too_short: bool = True
    min_peak: float = 0.001
    max_clipped: float = 0.01
    min_seconds: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("min_peak", "max_clipped"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share: expected 0 to 1, got {getattr(self, name)}")

    def fault(self, sound: Sound) -> tuple[str, str] | None:
        """Return the first step that rejects a sound, and the reason, or ``None``."""
        if self.too_short and sound.seconds < self.min_seconds:
            return "too_short", f"{sound.seconds:.3f} s are shorter than {self.min_seconds:g} s"
        if self.silent and sound.peak < self.min_peak:
            return "silent", self._why_silent(sound)
        if self.clipped and sound.clipped > self.max_clipped:
            return "clipped", f"{sound.clipped:.1%} of its samples are clipped at full scale"
        return None

    def _why_silent(self, sound: Sound) -> str:
        reason = f"its peak of {sound.peak:.5f} is below {self.min_peak:g}"
        if sound.middle is not None:
            reason = (
                f"its middle {sound.middle:g} s has a peak of {sound.peak:.5f}, below "
                f"{self.min_peak:g}; see data.seconds"
            )
        if sound.channel_peak < self.min_peak:
            return reason
        if sound.channels > 1:
            return f"its {sound.channels} channels cancel each other when they are mixed: {reason}"
        return f"it has no frequency below half of data.sample_rate: {reason}"


@dataclass(frozen=True, kw_only=True)
class AudioCleaning(SoundCleaning):
    """Cleaning steps of clips of one length."""


@dataclass(frozen=True, kw_only=True)
class SpeechCleaning(SoundCleaning):
    """Cleaning steps of sounds and of their transcripts.

    Attributes:
        empty: Drop recordings with an empty transcript.
        too_long: Drop recordings longer than ``max_seconds``, which would exhaust memory.
        too_fast: Drop recordings too short for their transcript.
        max_seconds: Maximum length of a recording in seconds.
        max_characters_per_second: Maximum number of characters per second of a recording; 15 are
            usual in English.
    """

    empty: bool = True
    too_long: bool = True
    too_fast: bool = True
    max_seconds: float = 20.0
    max_characters_per_second: float = 30.0

    def transcript_fault(self, transcript: str, seconds: float) -> tuple[str, str] | None:
        """Return the first step that rejects a transcript, and the reason, or ``None``."""
        rate = len(transcript) / seconds
        if self.empty and not transcript:
            return "empty", "its transcript is empty"
        if self.too_long and seconds > self.max_seconds:
            return "too_long", f"{seconds:.1f} s are longer than {self.max_seconds:g} s"
        if self.too_fast and rate > self.max_characters_per_second:
            return "too_fast", f"{rate:.0f} characters a second cannot be spoken"
        return None


def report_fault(
    found: tuple[str, str] | None, *, source: str, split: GivenSplit
) -> RejectedItem | None:
    """Return the finding for the report; a row of a given test split is kept if it is measurable.

    Args:
        found: Step that rejects the row, and the reason; ``None`` if no step does.
        source: Display name of the row.
        split: Split that the source assigns the row to.
    """
    if found is None:
        return None
    step, reason = found
    # An empty transcript has no error rate, so it cannot be measured.
    dropped = split != "test" or step == "empty"
    return RejectedItem(source=source, reason=reason, step=step, dropped=dropped)


def warn_of_fault(steps: SoundCleaning, sound: Sound, file: Path) -> None:
    """Warn about a sound to predict on that would have been dropped in training."""
    if found := steps.fault(sound):
        step, reason = found
        log.warning("%s is %s: %s", file, step.replace("_", " "), reason)

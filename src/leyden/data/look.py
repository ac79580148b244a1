"""Quick looks at sources: what is known of a data set before anything is read or torch imported.

A data module names the function that looks at its source in its attribute ``look``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from leyden.schema import TargetKind


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a quick look at a source has found.

    Attributes:
        kind: Kind of data, as ``conf/choices.yaml`` names it.
        target: What the targets are; ``None`` if that is not known before the rows are read.
        side: Longer side of images in pixels; ``None`` if it is not known.
        reason: What has been found, as a clause for messages.
        decided_by: Key that makes numbers classes or the reverse; an empty string if none does.
    """

    kind: str
    target: TargetKind | None = None
    side: int | None = None
    reason: str
    decided_by: str = ""


Looker = Callable[[Mapping[str, Any]], Look]
"""Function that looks at a source, given the node ``data`` without values that are missing."""


def look_at_images(_: Mapping[str, Any]) -> Look:
    """Return what is known of any images."""
    return Look(kind="image", reason="the data are images")


def look_at_image_files(data: Mapping[str, Any]) -> Look:
    """Return what is known of image files that are listed with their classes."""
    height, width = data["image_size"]
    reason = f"the data are images of {height}x{width} pixels, each with a class"
    return Look(kind="image", target="class", side=max(height, width), reason=reason)


def look_at_sounds(_: Mapping[str, Any]) -> Look:
    """Return what is known of any sounds."""
    return Look(kind="sound", reason="the data are sounds")


def look_at_sound_files(_: Mapping[str, Any]) -> Look:
    """Return what is known of sound files in folders of classes."""
    return Look(kind="sound", target="class", reason="the data are sounds, each with a class")


def look_at_speech(_: Mapping[str, Any]) -> Look:
    """Return what is known of transcribed speech."""
    reason = "the data are sounds, each with a transcript"
    return Look(kind="sound", target="transcript", reason=reason)


def look_at_texts(_: Mapping[str, Any]) -> Look:
    """Return what is known of any texts."""
    return Look(kind="text", reason="the data are texts")


def look_at_labelled_texts(_: Mapping[str, Any]) -> Look:
    """Return what is known of texts in folders or tables with their classes."""
    return Look(kind="text", target="class", reason="the data are texts, each with a class")


def look_at_corpus(_: Mapping[str, Any]) -> Look:
    """Return what is known of texts without classes."""
    return Look(kind="text", target="none", reason="the data are texts without classes")

"""The line of a program at which a run failed, as its log has it."""

import re
from dataclasses import dataclass
from pathlib import Path

START = "Traceback (most recent call last):"

FRAME = re.compile(r'\s+File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)')

INSTALLED = ("site-packages", "dist-packages", "<frozen", "/lib/python3")
"""Parts of the paths of files that a user has not written."""

TAIL = 200_000
"""Bytes at the end of a log that are searched."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A line of a program.

    Attributes:
        where: File, number of the line, and function.
        code: The line.
    """

    where: str
    code: str


def failing_line(log: Path) -> Place | None:
    """Find the line that failed in the last traceback of a log.

    It is the innermost line outside installed packages, which is where a remedy is most likely; the
    innermost one if there is none.

    Args:
        log: ``train.log`` of a run.

    Returns:
        The line; ``None`` if the log is missing, or has no traceback.
    """
    if not log.is_file():
        return None
    with log.open("rb") as stream:
        stream.seek(max(log.stat().st_size - TAIL, 0))
        text = stream.read().decode(errors="replace")
    _, start, traceback = text.rpartition(START)
    lines = traceback.splitlines()
    frames = [(frame, number) for number, line in enumerate(lines) if (frame := FRAME.match(line))]
    if not start or not frames:
        return None
    own = [each for each in frames if not any(part in each[0]["file"] for part in INSTALLED)]
    frame, number = (own or frames)[-1]
    code = lines[number + 1].strip() if number + 1 < len(lines) else ""
    where = f"{frame['file']}:{frame['line']} in {frame['function']}"
    return Place(where=where, code="" if FRAME.match(f"  {code}") else code)

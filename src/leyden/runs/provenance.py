"""Where a run came from: code, versions, machine, command."""

import platform
import shlex
import subprocess
import sys
from importlib.metadata import version
from typing import Any

PACKAGES = ("leyden", "torch", "lightning", "torchmetrics", "numpy")


def provenance() -> dict[str, Any]:
    """Gather the facts needed to make a run again."""
    return {
        "command": shlex.join(sys.argv),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "git": _git_revision(),
        "platform": platform.platform(),
    }


def _git_revision() -> dict[str, Any] | None:
    """Describe the checkout that the command was given in, if there is one."""
    revision = _git("rev-parse", "HEAD")
    if revision is None:
        return None
    return {"revision": revision, "modified": bool(_git("status", "--porcelain"))}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()

"""Provenance of a run: command, code, versions and machine."""

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from leyden.ranks.environment import is_launched
from leyden.runs.folder import RunFolder, write_json

COMMAND = "LEYDEN_COMMAND"
"""Environment variable with the command, inherited by the processes that it starts."""

PACKAGES = ("leyden", "torch", "lightning", "torchmetrics", "numpy")


def record_provenance(folder: RunFolder) -> None:
    """Write the provenance of a run, and the uncommitted changes of its checkout, into its folder.

    Files that exist are kept, because they describe the start of the run.
    """
    if folder.provenance.exists():
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    # Untracked files may be anything, such as data: only their names are recorded.
    changes = [_git("diff", "HEAD"), _git("ls-files", "--others", "--exclude-standard")]
    if any(changes):
        diff, untracked = (text or "" for text in changes)
        names = "".join(f"# untracked: {name}\n" for name in untracked.splitlines())
        (folder.path / "changes.diff").write_text(f"{names}{diff}\n")
    write_json(folder.provenance, provenance() | {"hardware": _hardware()})


def record_command(words: Sequence[str]) -> None:
    """Set the command that this process and those that it starts record as their own.

    Args:
        words: Arguments of ``leyden``. A rank keeps the command of its launcher.
    """
    if not (is_launched() and COMMAND in os.environ):
        os.environ[COMMAND] = shlex.join(["leyden", *words])


def provenance() -> dict[str, Any]:
    """Return everything but the config that is needed to reproduce a run."""
    return {
        "command": os.environ.get(COMMAND) or shlex.join(sys.argv),
        "versions": {"python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "git": _git_revision(),
        "platform": platform.platform(),
    }


def _hardware() -> dict[str, Any]:
    import torch  # slow to import

    gpus = range(torch.cuda.device_count())
    return {
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "gpus": [torch.cuda.get_device_name(number) for number in gpus],
        "visible_gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
    }


def _git_revision() -> dict[str, Any] | None:
    """Return the revision of the checkout in the current directory; ``None`` outside one."""
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

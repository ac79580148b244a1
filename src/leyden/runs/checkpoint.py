"""Checkpoint files: written so that none is ever half there, verified when they are read."""

import logging
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from leyden.callbacks.run_record import KEY
from leyden.errors import UserError
from leyden.runs.folder import RunFolder

log = logging.getLogger(__name__)

Location = str | torch.device | Callable[[Any, str], Any] | None


class SafeCheckpointIO(CheckpointIO):
    """Writes a checkpoint aside, flushes it to the disk and renames it.

    The format is torch's own, a zip archive, which holds a CRC-32 of each of its members.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,  # noqa: ARG002  # Lightning's signature
    ) -> None:
        """Write a checkpoint.

        Raises:
            UserError: the disk is full or does not take it; what stood there before still does.
        """
        path = Path(path)
        unfinished = path.with_name(f"{path.name}.unfinished")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with unfinished.open("wb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(path)
            _flush_folder(path.parent)
        except (OSError, RuntimeError) as error:
            _remove_quietly(unfinished)
            raise _unwritable(path, error) from error

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Location = None,
        weights_only: bool | None = True,  # noqa: FBT001, FBT002, ARG002  # Lightning's signature
    ) -> dict[str, Any]:
        """Read a verified checkpoint."""
        return load_checkpoint(Path(path), map_location=map_location or "cpu")

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint."""
        Path(path).unlink(missing_ok=True)


def load_checkpoint(path: Path, *, map_location: Location = "cpu") -> dict[str, Any]:
    """Read a checkpoint; nothing but tensors and plain containers is unpickled.

    Raises:
        UserError: the file is missing, torn, holds other objects, or was written by something
            other than a run.
    """
    if not path.is_file():
        raise UserError(f"The checkpoint {path} does not exist. Give a run folder or a .ckpt file.")
    try:
        _verify(path)
        checkpoint = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"The checkpoint {path} is refused: it holds more than tensors and plain containers "
            f"({_first_line(error)}). Use a checkpoint that a run wrote."
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"The checkpoint {path} is damaged ({_first_line(error)}). Use another checkpoint of "
            "the same run; every run keeps best.ckpt and last.ckpt."
        ) from error
    if not isinstance(checkpoint, dict) or KEY not in checkpoint:
        raise UserError(
            f"{path} holds no record of a run, so its config and preprocessing are unknown. "
            "Expected a checkpoint that `leyden train` wrote."
        )
    return checkpoint


def newest_intact(folder: RunFolder) -> Path | None:
    """Find the checkpoint to continue: the last one, or the one before it where that is damaged.

    Raises:
        UserError: both are damaged.
    """
    fault: UserError | None = None
    for path in (folder.last, folder.previous):
        if not path.is_file():
            continue
        try:
            step = load_checkpoint(path)["global_step"]
        except UserError as error:
            log.warning("%s is left out: %s", path.name, error)
            fault = fault or error
        else:
            log.info("continuing %s, behind step %d", path.name, step)
            return path
    if fault is not None:
        raise fault
    return None


def _verify(path: Path) -> None:
    """Compare every member with its checksum; torch itself reads past a flipped bit."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} differs from its checksum")


def _flush_folder(folder: Path) -> None:
    """Flush a rename to the disk, where a folder can be opened."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def _unwritable(path: Path, error: Exception) -> UserError:
    free = ""
    if path.parent.is_dir():
        free = f", {shutil.disk_usage(path.parent).free / 2**20:.0f} MiB are free"
    return UserError(
        f"No checkpoint can be written to the folder {path.parent} ({_first_line(error)}{free}). "
        "The checkpoints in it are whole. Make room or give yourself the right to write there, "
        f"then continue with `leyden train run={path.parent.parent}`."
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].strip(" .") or type(error).__name__

"""Writing checkpoints atomically, and verifying them when they are read."""

import logging
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from leyden.checkpoints.files import META, unwritable
from leyden.checkpoints.record import KEY, check_types
from leyden.errors import UserError, first_line
from leyden.files import flush_folder, remove, write_aside

log = logging.getLogger(__name__)

DAMAGE = (
    *(AttributeError, EOFError, LookupError, OSError, OverflowError, RuntimeError),
    *(TypeError, ValueError, zipfile.BadZipFile),
)
"""Errors that reading a damaged checkpoint, or a file that is not one, raises."""

RESUMED: dict[str, type] = {
    "state_dict": dict,
    "global_step": int,
    "epoch": int,
    "loops": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "callbacks": dict,
}
"""Lightning's entries that resuming a run requires, and their types."""

Location = str | torch.device | Callable[[Any, str], Any] | None


class SafeCheckpointIO(CheckpointIO):
    """Replaces checkpoints atomically: writes one aside, flushes it to the disk and renames it.

    The format is that of ``torch.save``, a zip archive with a CRC-32 of each of its members.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | os.PathLike[str],
        storage_options: Any | None = None,  # noqa: ARG002  # Lightning's signature
    ) -> None:
        """Write a checkpoint.

        Raises:
            UserError: If the disk is full or cannot be written; the old checkpoint is kept.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with write_aside(path) as aside, aside.open("xb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
                os.fsync(stream.fileno())
            flush_folder(path.parent)
        except (OSError, RuntimeError) as error:
            raise unwritable(path.parent if path.name == META else path, error) from error

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Location = None,
        weights_only: bool | None = True,  # noqa: FBT001, FBT002, ARG002  # Lightning's signature
    ) -> dict[str, Any]:
        """Read and verify a checkpoint."""
        return load_checkpoint(Path(path), map_location=map_location or "cpu")

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        """Remove a checkpoint."""
        remove(Path(path))


def load_checkpoint(
    path: Path, *, map_location: Location = "cpu", only: Collection[str] | None = None
) -> dict[str, Any]:
    """Read and verify a checkpoint; only tensors and plain containers are unpickled.

    Args:
        path: File, or folder that several ranks wrote.
        map_location: Device for the tensors of a file. Those of a folder are read to the host.
        only: Entries of a folder whose tensors are read; the others are left empty.

    Raises:
        UserError: If the checkpoint is missing, truncated, holds other objects, or was not
            written by a run.
    """
    if not path.exists():
        raise UserError(f"The checkpoint {path} does not exist. Give a run folder or a .ckpt file.")
    file = path / META if path.is_dir() else path
    with reporting_damage(path):
        _verify_checksums(file)
        checkpoint = torch.load(file, map_location=map_location, weights_only=True)
        if file != path:
            from leyden.checkpoints import shards  # slow to import

            shards.verify(checkpoint, path)
            checkpoint = shards.fill(checkpoint, path, only=only)
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(KEY), dict):
        raise UserError(
            f"{path} holds no record of a run, so its config and preprocessing are unknown. "
            "Expected a checkpoint that `leyden train` wrote."
        )
    with reporting_damage(path):
        check_types({key: kind for key, kind in RESUMED.items() if key in checkpoint}, checkpoint)
    return checkpoint


def link_checkpoint(source: Path, target: Path) -> None:
    """Link a checkpoint under a second name, replacing the checkpoint of that name.

    Checkpoints are replaced, never changed, so that hard links are safe.
    """
    if source.is_dir():
        from leyden.checkpoints import shards  # slow to import

        shards.link(source, target, link_checkpoint)
        return
    with write_aside(target) as aside:
        try:
            aside.hardlink_to(source)
        except OSError:  # this file system has no hard links
            shutil.copyfile(source, aside)


def newest_intact(paths: Sequence[Path]) -> Path | None:
    """Return the newest checkpoint from which a run can be resumed; ``None`` if there are none.

    Args:
        paths: Paths of checkpoints, the newest first; some may not exist.

    Raises:
        UserError: If all existing ones are damaged.
    """
    fault: UserError | None = None
    for path in filter(Path.exists, paths):
        try:
            checkpoint = load_checkpoint(path, only=())
            with reporting_damage(path):
                check_types(RESUMED, checkpoint)
        except UserError as error:
            log.warning("%s is left out: %s", path.name, error)
            fault = fault or error
        else:
            log.info("continuing %s, after step %d", path.name, checkpoint["global_step"])
            return path
    if fault is not None:
        raise fault
    return None


@contextmanager
def reporting_damage(path: Path) -> Iterator[None]:
    """Turn the errors that a damaged checkpoint raises into a ``UserError``.

    Raises:
        UserError: If the block raises one of ``DAMAGE``, or refuses to unpickle an object.
    """
    try:
        yield
    except pickle.UnpicklingError as error:
        raise UserError(
            f"The checkpoint {path} is refused: it holds more than tensors and plain containers "
            f"({first_line(error)}). Use a checkpoint that a run wrote."
        ) from error
    except DAMAGE as error:
        raise UserError(
            f"The checkpoint {path} is damaged ({first_line(error)}). Use another checkpoint of "
            "the same run; every run keeps best.ckpt and last.ckpt."
        ) from error


def _verify_checksums(path: Path) -> None:
    """Compare every member with its checksum, because torch does not detect a flipped bit."""
    if path.exists() and not path.is_file():  # reading a pipe would block
        raise OSError(f"{path.name} is not a file")
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} differs from its checksum")

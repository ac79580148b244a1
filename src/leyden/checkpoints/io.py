"""Checkpoints: written so that none is ever half there, verified when they are read."""

import logging
import os
import pickle
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO
from torch import Tensor

from leyden.callbacks.run_record import KEY
from leyden.errors import UserError, first_line
from leyden.files import META, flush_folder, remove, unwritable
from leyden.runs.folder import RunFolder

log = logging.getLogger(__name__)

DAMAGE = (
    *(AttributeError, EOFError, LookupError, OSError, OverflowError, RuntimeError),
    *(TypeError, ValueError, zipfile.BadZipFile),
)
"""What reading a damaged checkpoint, or one in which something else stands, raises."""

CONTENT: dict[str, type] = {
    "state_dict": dict,
    "global_step": int,
    "epoch": int,
    "loops": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "callbacks": dict,
}
"""Entries of Lightning's that a run is continued from, and their types."""

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
            unfinished.unlink(missing_ok=True)  # it may be a link to elsewhere
            with unfinished.open("xb") as stream:
                torch.save(checkpoint, stream)
                stream.flush()
                os.fsync(stream.fileno())
            if path.is_dir():  # several ranks wrote the one that was there
                remove(path)
            unfinished.replace(path)
            flush_folder(path.parent)
        except (OSError, RuntimeError) as error:
            _remove_quietly(unfinished)
            raise unwritable(path.parent if path.name == META else path, error) from error

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
        remove(Path(path))


def load_checkpoint(
    path: Path, *, map_location: Location = "cpu", only: Collection[str] | None = None
) -> dict[str, Any]:
    """Read a checkpoint; nothing but tensors and plain containers is unpickled.

    Args:
        path: a file, or a folder that several ranks have written.
        map_location: the device for the tensors of a file; those of a folder go to the host.
        only: of a folder, the entries whose tensors are read; the others are left empty.

    Raises:
        UserError: the checkpoint is missing, torn, holds other objects, or was written by
            something other than a run.
    """
    if not path.exists():
        raise UserError(f"The checkpoint {path} does not exist. Give a run folder or a .ckpt file.")
    file = path / META if path.is_dir() else path
    with damage_told(path):
        _verify(file)
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
    with damage_told(path):
        _verify_types({key: kind for key, kind in CONTENT.items() if key in checkpoint}, checkpoint)
    return checkpoint


@dataclass(frozen=True, kw_only=True)
class Learned:
    """What a finished run is rebuilt from, with every entry of the type that it should have.

    Attributes:
        config: The frozen config, of unknown origin.
        data: State of the data module.
        weights: State of the task.
    """

    config: dict[str, Any]
    data: dict[str, Any]
    weights: dict[str, Tensor]


def read_learned(checkpoint: dict[str, Any], path: Path) -> Learned:
    """Pick what a finished run is rebuilt from out of a checkpoint.

    Raises:
        UserError: An entry is missing or of another type.
    """
    data = {"class_names": list, "statistics": dict, "target_counts": dict}
    with damage_told(path):
        record = checkpoint[KEY]
        _verify_types({"config": dict, "data": dict}, record)
        _verify_types(data, record["data"])
        _verify_types({"state_dict": dict}, checkpoint)
        weights, names = checkpoint["state_dict"], record["data"]["class_names"]
        _verify_types(dict.fromkeys(weights, Tensor), weights)
        named = {f"class_names[{number}]": name for number, name in enumerate(names)}
        _verify_types(dict.fromkeys(named, str), named)
    return Learned(config=record["config"], data=record["data"], weights=weights)


@contextmanager
def damage_told(path: Path) -> Iterator[None]:
    """Turn what a damaged checkpoint raises into a message.

    Raises:
        UserError: Something of that kind was raised inside.
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


def newest_intact(folder: RunFolder) -> Path | None:
    """Find the checkpoint to continue: the last one, or the one before it where that is damaged.

    Raises:
        UserError: both are damaged.
    """
    fault: UserError | None = None
    for path in (folder.last, folder.previous):
        if not path.exists():
            continue
        try:
            checkpoint = load_checkpoint(path, only=())
            with damage_told(path):
                _verify_types(CONTENT, checkpoint)
        except UserError as error:
            log.warning("%s is left out: %s", path.name, error)
            fault = fault or error
        else:
            log.info("continuing %s, after step %d", path.name, checkpoint["global_step"])
            return path
    if fault is not None:
        raise fault
    return None


def _verify(path: Path) -> None:
    """Compare every member with its checksum; torch itself reads past a flipped bit."""
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError(f"{path.name} is not a file")
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} differs from its checksum")


def _verify_types(kinds: Mapping[str, type], entries: Mapping[str, Any]) -> None:
    for key, kind in kinds.items():
        if key not in entries:
            raise ValueError(f"it lacks {key}")
        if not isinstance(entries[key], kind):
            found = type(entries[key]).__name__
            raise TypeError(f"{key!r:.80} is a {found}, not a {kind.__name__}")


def _remove_quietly(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return

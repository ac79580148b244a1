"""Sharded checkpoints: folders into which every rank writes its shards.

Its ``meta.pt`` is an ordinary checkpoint in which sharded tensors are empty, on torch's ``meta``
device. Their values are in a folder beside it, in the format of ``torch.distributed.checkpoint``.
``meta.pt`` names that folder and the checksums of its files, and is replaced last, atomically. So
readers see the old checkpoint or the new one, although a folder cannot be replaced atomically.
"""

import pickle
import shutil
import uuid
import warnings
import zlib
from collections.abc import Callable, Collection
from copy import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta, TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor import empty as empty_dtensor

from leyden.checkpoints.files import META
from leyden.files import flush_folder, remove

KEY = "shards"
"""Key in ``meta.pt`` of the name of the folder of values, and of the checksums of its files."""

INDEX = ".metadata"
"""Pickle of ``torch.distributed.checkpoint`` that lists which file holds which shard."""

CHUNK = 2**24
"""Bytes that are read at a time for a checksum."""

SAFE_GLOBALS = {
    "torch": {"Size"} | {name for name, each in vars(torch).items() if type(each) is torch.dtype},
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.distributed.checkpoint.metadata": {
        "_MEM_FORMAT_ENCODING",
        "ChunkStorageMetadata",
        "Metadata",
        "MetadataIndex",
        "StorageMeta",
        "TensorProperties",
        "TensorStorageMetadata",
    },
    "torch.serialization": {"_get_layout"},
}
"""Globals by module that an index may contain; any other one could run arbitrary code."""


def fill(
    checkpoint: dict[str, Any],
    path: Path,
    *,
    only: Collection[str] | None = None,
    mesh: DeviceMesh | None = None,
) -> dict[str, Any]:
    """Read the values of the empty tensors in a checkpoint.

    Args:
        checkpoint: Content of ``meta.pt``.
        path: Folder of the checkpoint.
        only: Entries whose tensors are read, all by default; the others stay empty.
        mesh: Ranks over which tensors are sharded; without it they are read whole, to the host.

    Returns:
        The checkpoint without the entry ``shards``.

    Raises:
        ValueError: If the values cannot be read, or do not belong to the checkpoint.
        pickle.UnpicklingError: If the index holds other objects, which are not created.
    """
    values: dict[str, Tensor] = {}

    def allocate(key: str, tensor: Tensor) -> Tensor:
        if not tensor.is_meta or (only is not None and key.split("/")[0] not in only):
            return tensor
        if mesh is None:
            values[key] = torch.empty(tensor.shape, dtype=tensor.dtype)
        else:
            values[key] = empty_dtensor(
                tensor.shape, dtype=tensor.dtype, device_mesh=mesh, placements=[Shard(0)]
            )
        return values[key]

    filled: dict[str, Any] = _with_tensors(checkpoint, allocate)
    if values:
        reader = _Reader(_inside(path, checkpoint[KEY]["folder"]))
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="torch.distributed is disabled")
                load(values, storage_reader=reader, no_dist=mesh is None)
        except CheckpointException as error:
            raise ValueError(_reason(error)) from error
    del filled[KEY]
    return filled


def verify(checkpoint: dict[str, Any], path: Path) -> None:
    """Compare the files of a checkpoint with the checksums in its ``meta.pt``.

    Raises:
        OSError: If a file is missing.
        ValueError: If a file differs from its checksum.
    """
    folder = _inside(path, checkpoint[KEY]["folder"])
    for name, checksum in checkpoint[KEY]["checksums"].items():
        if _checksum(_inside(folder, name)) != checksum:
            raise ValueError(f"{name} differs from its checksum")


def write(
    checkpoint: dict[str, Any], path: Path, *, write_meta: Callable[[dict[str, Any], Path], None]
) -> None:
    """Write a checkpoint, on every rank.

    Args:
        checkpoint: Checkpoint of this rank.
        path: Folder of the checkpoint.
        write_meta: Writes ``meta.pt`` aside, flushes it to the disk and renames it.

    Raises:
        OSError: If the disk is full or cannot be written; the old checkpoint is kept.
    """
    rank = torch.distributed.get_rank()
    chosen = ["", ""] if rank else [str(_open(path)), f"shards-{uuid.uuid4().hex[:12]}"]
    torch.distributed.broadcast_object_list(chosen, src=0)
    opened, name = Path(chosen[0]), chosen[1]
    folder = opened / name
    sharded: dict[str, Tensor] = {}

    def take_out(key: str, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, DTensor):
            return tensor
        sharded[key] = tensor
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")

    meta = _with_tensors(checkpoint, take_out)
    try:
        save(sharded, storage_writer=_Writer(folder))
    except CheckpointException as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OSError(_reason(error)) from error
    own = {file.name: _checksum(file) for file in folder.glob(f"__{rank}_*")}
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, own)
    if rank == 0:
        flush_folder(folder)
        checksums = {INDEX: _checksum(folder / INDEX)}
        for of_rank in gathered:
            checksums |= of_rank
        write_meta({**meta, KEY: {"folder": name, "checksums": checksums}}, opened / META)
        _close(opened, path, keep={name})


def link(source: Path, target: Path, link_file: Callable[[Path, Path], None]) -> None:
    """Link a checkpoint under a second name, replacing the checkpoint of that name."""
    if not (source / META).is_file():
        return
    opened = _open(target)
    folders = [each for each in source.iterdir() if each.is_dir()]
    for folder in folders:
        (opened / folder.name).mkdir(exist_ok=True)
        for file in folder.iterdir():
            link_file(file, opened / folder.name / file.name)
    link_file(source / META, opened / META)
    _close(opened, target, keep={folder.name for folder in folders})


def _open(path: Path) -> Path:
    """Return the folder to write into: the checkpoint's own if it exists, else a new one aside."""
    if path.is_dir():
        return path
    aside = path.with_name(f"{path.name}.unfinished")
    remove(aside)
    aside.mkdir(parents=True)
    return aside


def _close(opened: Path, path: Path, *, keep: Collection[str]) -> None:
    """Rename a complete checkpoint, and remove folders that its ``meta.pt`` does not name."""
    if opened != path:
        remove(path)
        opened.rename(path)
        flush_folder(path.parent)
    for folder in path.iterdir():
        if folder.is_dir() and folder.name not in keep:
            shutil.rmtree(folder)


def _inside(folder: Path, name: Any) -> Path:
    """Join a name that was read from a file and so is not trusted."""
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
        raise ValueError(f"{name!r:.80} leads out of the checkpoint")
    inner = folder / name
    if inner.is_symlink() or not (inner.is_file() or inner.is_dir()):
        raise ValueError(f"{name} is missing, or is not an ordinary file or folder")
    return inner


def _reason(error: CheckpointException) -> str:
    return str(next(iter(error.failures.values()))[0])


def _with_tensors(tree: Any, replaced: Callable[[str, Tensor], Tensor]) -> Any:
    """Copy nested containers, and replace each tensor.

    A container that occurs several times below one entry is copied once, under its first key: a
    few nested lists in a file can have more keys than fit into memory.

    Args:
        tree: Dicts, lists and tuples.
        replaced: Returns the replacement of a tensor, given its key, such as
            ``state_dict/network.weight``.
    """
    copies: dict[tuple[int, str], Any] = {}

    def copied(node: Any, key: str) -> Any:
        if isinstance(node, Tensor):
            return replaced(key, node)
        if not isinstance(node, dict | list | tuple):
            return node
        known = (id(node), key.partition("/")[0])
        prefix = f"{key}/" if key else ""
        if known in copies:
            return copies[known]
        if isinstance(node, dict):
            result: Any = copy(node)  # a state dict carries the versions of its modules
            result |= {name: copied(each, f"{prefix}{name}") for name, each in node.items()}
        else:
            result = type(node)(copied(each, f"{prefix}{i}") for i, each in enumerate(node))
        copies[known] = result
        return result

    return copied(tree, "")


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


class _Writer(FileSystemWriter):
    def storage_meta(self) -> StorageMeta:
        """Leave out the path of the checkpoint, which may be moved."""
        return StorageMeta()


class _Reader(FileSystemReader):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.index = _index_of(folder)

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:  # noqa: ARG002
        """Return the checked index; torch's own method would unpickle anything."""
        return self.index


def _index_of(folder: Path) -> Metadata:
    """Read an index, and create only objects that belong in one.

    It may list only tensors, because torch unpickles other values unchecked.
    """
    with _inside(folder, INDEX).open("rb") as stream:
        index = _IndexUnpickler(stream).load()
    if not isinstance(index, Metadata) or not all(
        isinstance(each, TensorStorageMetadata) for each in index.state_dict_metadata.values()
    ):
        raise pickle.UnpicklingError("its index holds more than tensors")
    files = {each.relative_path for each in index.storage_data.values()}
    if any(Path(file).name != file for file in files):
        raise pickle.UnpicklingError("its index leads out of its folder")
    for file in files:
        _inside(folder, file)
    return index


class _IndexUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in SAFE_GLOBALS.get(module, ()):
            raise pickle.UnpicklingError(f"its index holds a {module}.{name}")
        return super().find_class(module, name)

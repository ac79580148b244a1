"""Sharded checkpoints: a folder into which every rank writes its shards.

Its ``meta.pt`` is an ordinary checkpoint in which sharded tensors are empty, on torch's ``meta``
device. Their values are beside it, in a folder of torch.distributed.checkpoint's. ``meta.pt`` names
that folder and the checksums of its files, and is replaced last. So either the old checkpoint is
there or the new one, although a folder as a whole cannot be replaced at once.
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
"""Key in ``meta.pt`` of the name of the folder with the values."""

INDEX = ".metadata"
"""File of torch.distributed.checkpoint, a pickle: which file holds which shard of which tensor."""

CHUNK = 2**24
"""Bytes that are read at once for a checksum."""

IN_AN_INDEX = {
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
"""Globals that an index consists of; any other global in a pickle may run a stranger's code."""


def take_out(checkpoint: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Separate the sharded tensors from a checkpoint.

    Returns:
        The checkpoint with empty tensors in their place, and the sharded tensors by their path.
    """
    shared: dict[str, Tensor] = {}

    def empty(place: str, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, DTensor):
            return tensor
        shared[place] = tensor
        return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")

    return _with_tensors(checkpoint, empty), shared


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

    Raises:
        ValueError: If the values cannot be read, or do not belong to the checkpoint.
        pickle.UnpicklingError: If the index holds other objects, which are not created.
    """
    values: dict[str, Tensor] = {}

    def allocate(place: str, tensor: Tensor) -> Tensor:
        if not tensor.is_meta or (only is not None and place.split("/")[0] not in only):
            return tensor
        if mesh is None:
            values[place] = torch.empty(tensor.shape, dtype=tensor.dtype)
        else:
            sizes, dtype = tuple(tensor.shape), tensor.dtype
            values[place] = empty_dtensor(
                sizes, dtype=dtype, device_mesh=mesh, placements=[Shard(0)]
            )
        return values[place]

    filled: dict[str, Any] = _with_tensors(checkpoint, allocate)
    if values:
        _read(values, _folder_of(checkpoint, path), alone=mesh is None)
    del filled[KEY]
    return filled


def verify(checkpoint: dict[str, Any], path: Path) -> None:
    """Compare the files of a checkpoint with the checksums in its ``meta.pt``.

    Raises:
        OSError: If a file is missing.
        ValueError: If a file differs from its checksum.
    """
    folder = _folder_of(checkpoint, path)
    for name, checksum in checkpoint[KEY]["checksums"].items():
        if _checksum(_inside(folder, name)) != checksum:
            raise ValueError(f"{name} differs from its checksum")


def _folder_of(checkpoint: dict[str, Any], path: Path) -> Path:
    return _inside(path, checkpoint[KEY]["folder"])


def _inside(folder: Path, name: Any) -> Path:
    """Join a name that was read from a file, which may be a stranger's."""
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
        raise ValueError(f"{name!r:.80} leads out of the checkpoint")
    inner = folder / name
    if inner.is_symlink() or not (inner.is_file() or inner.is_dir()):
        raise ValueError(f"{name} is missing, or is not an ordinary file or folder")
    return inner


def write(
    checkpoint: dict[str, Any], path: Path, *, write_meta: Callable[[dict[str, Any], Path], None]
) -> None:
    """Write a checkpoint, on every rank.

    Args:
        checkpoint: Checkpoint of this rank.
        path: Folder of the checkpoint.
        write_meta: Writes ``meta.pt`` aside, flushes it to the disk and renames it.

    Raises:
        OSError: If the disk is full or cannot be written; the old checkpoint stays.
    """
    plain, shared = take_out(checkpoint)
    is_first = torch.distributed.get_rank() == 0
    name = _of_first_rank(f"shards-{uuid.uuid4().hex[:12]}" if is_first else "")
    home = Path(_of_first_rank(str(_home(path)) if is_first else ""))
    folder = home / name
    try:
        save(shared, storage_writer=_Writer(folder))
    except CheckpointException as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise OSError(str(next(iter(error.failures.values()))[0])) from error
    mine = folder.glob(f"__{torch.distributed.get_rank()}_*")
    gathered: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(gathered, {each.name: _checksum(each) for each in mine})
    if is_first:
        flush_folder(folder)
        checksums = {INDEX: _checksum(folder / INDEX)}
        checksums |= {name: value for of_rank in gathered for name, value in of_rank.items()}
        write_meta({**plain, KEY: {"folder": name, "checksums": checksums}}, home / META)
        _settle(home, path, keep={name})


def link(source: Path, target: Path, link_file: Callable[[Path, Path], None]) -> None:
    """Give a checkpoint a second name, replacing the checkpoint of that name."""
    if not (source / META).is_file():
        return
    home = _home(target)
    folders = [each for each in source.iterdir() if each.is_dir()]
    for folder in folders:
        (home / folder.name).mkdir(exist_ok=True)
        for file in folder.iterdir():
            link_file(file, home / folder.name / file.name)
    link_file(source / META, home / META)
    _settle(home, target, keep={folder.name for folder in folders})


def _read(values: dict[str, Tensor], folder: Path, *, alone: bool) -> None:
    """Read values into tensors, by their path."""
    reader = _Reader(folder)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            load(values, storage_reader=reader, no_dist=alone)
    except CheckpointException as error:
        raise ValueError(str(next(iter(error.failures.values()))[0])) from error


def _home(path: Path) -> Path:
    """Return the folder to write into: the checkpoint's own if it exists, else a new one aside."""
    if path.is_dir():
        return path
    aside = path.with_name(f"{path.name}.unfinished")
    remove(aside)
    aside.mkdir(parents=True)
    return aside


def _settle(home: Path, path: Path, *, keep: Collection[str]) -> None:
    """Rename a complete checkpoint, and remove folders that its ``meta.pt`` does not name."""
    if home != path:
        remove(path)
        home.rename(path)
        flush_folder(path.parent)
    for folder in path.iterdir():
        if folder.is_dir() and folder.name not in keep:
            shutil.rmtree(folder)


def _with_tensors(tree: Any, replaced: Callable[[str, Tensor], Tensor]) -> Any:
    """Copy a tree of containers, with each tensor replaced by its path in the tree.

    A container that occurs several times below one entry is copied once, under its first path: a
    few nested lists in a file can have more paths than fit into memory.
    """
    copies: dict[tuple[int, str], Any] = {}

    def copied(node: Any, place: str) -> Any:
        if isinstance(node, Tensor):
            return replaced(place, node)
        if not isinstance(node, dict | list | tuple):
            return node
        known = (id(node), place.partition("/")[0])
        if known not in copies:
            copies[known] = contents(node, f"{place}/" if place else "")
        return copies[known]

    def contents(node: Any, inside: str) -> Any:
        if not isinstance(node, dict):
            return type(node)(copied(each, f"{inside}{i}") for i, each in enumerate(node))
        result = copy(node)  # a state dict carries the versions of its modules as an attribute
        result |= {key: copied(each, f"{inside}{key}") for key, each in node.items()}
        return result

    return copied(tree, "")


def _of_first_rank(text: str) -> str:
    held = [text]
    torch.distributed.broadcast_object_list(held, src=0)
    return held[0]


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
    """Read an index without creating objects that do not belong into one.

    It may list tensors only, because torch unpickles other values unchecked.
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
        if name not in IN_AN_INDEX.get(module, ()):
            raise pickle.UnpicklingError(f"its index holds a {module}.{name}")
        return super().find_class(module, name)

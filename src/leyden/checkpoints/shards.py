"""Sharded checkpoints: a folder, into which every rank writes what it holds.

``meta.pt`` in it is an ordinary checkpoint in which tensors that are shared out are empty, on
torch's ``meta`` device. Their values stand beside it in a folder of torch.distributed.checkpoint's.
``meta.pt`` names that folder and the checksums of its files, and takes its place last. So either
the old checkpoint is there or the new one; a folder as a whole can't be replaced at once.
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

from leyden.files import META, flush_folder, remove

KEY = "shards"
"""Where ``meta.pt`` says which folder holds the values."""

INDEX = ".metadata"
"""Of torch.distributed.checkpoint, a pickle: which file holds which part of which tensor."""

CHUNK = 2**24

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
"""What an index is made of; anything else in a pickle may run code of a stranger's."""


def take_out(checkpoint: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Split a checkpoint into what is whole on each rank, and what is shared out, by its place."""
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
    """Put the values into what ``meta.pt`` of a checkpoint holds.

    Args:
        checkpoint: what ``meta.pt`` holds.
        path: the checkpoint.
        only: entries whose tensors are read, all by default; the others stay empty.
        mesh: the ranks among which tensors are shared out; without it they are whole, on the host.

    Raises:
        ValueError: the values can't be read, or are others.
        pickle.UnpicklingError: the index holds strange objects, which are not made.
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
    """Compare the files with the checksums that ``meta.pt`` of a checkpoint holds.

    Raises:
        OSError: a file is missing.
        ValueError: a file is not as it was written.
    """
    folder = _folder_of(checkpoint, path)
    for name, checksum in checkpoint[KEY]["checksums"].items():
        if _checksum(_inside(folder, name)) != checksum:
            raise ValueError(f"{name} differs from its checksum")


def _folder_of(checkpoint: dict[str, Any], path: Path) -> Path:
    return _inside(path, checkpoint[KEY]["folder"])


def _inside(folder: Path, name: Any) -> Path:
    """Join a name that a file gives, which may be a stranger's."""
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".."):
        raise ValueError(f"{name!r:.80} leads out of the checkpoint")
    inner = folder / name
    if inner.is_symlink() or not (inner.is_file() or inner.is_dir()):
        raise ValueError(f"{name} is missing, or no ordinary file or folder")
    return inner


def write(
    checkpoint: dict[str, Any], path: Path, *, write_meta: Callable[[dict[str, Any], Path], None]
) -> None:
    """Write a checkpoint; every rank has to call this.

    Args:
        checkpoint: of this rank.
        path: the folder that it becomes.
        write_meta: writes ``meta.pt`` aside, flushes it to the disk and puts it in its place.

    Raises:
        OSError: the disk is full or does not take it; what stood there before still does.
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
    """Give a checkpoint a second name, in the place of what had it."""
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
    """Read tensors in place."""
    reader = _Reader(folder)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            load(values, storage_reader=reader, no_dist=alone)
    except CheckpointException as error:
        raise ValueError(str(next(iter(error.failures.values()))[0])) from error


def _home(path: Path) -> Path:
    """Give the folder to write into: the checkpoint's own, or where there is none, one aside."""
    if path.is_dir():
        return path
    aside = path.with_name(f"{path.name}.unfinished")
    remove(aside)
    aside.mkdir(parents=True)
    return aside


def _settle(home: Path, path: Path, *, keep: Collection[str]) -> None:
    """Let a whole checkpoint have its name, and remove the values that no ``meta.pt`` names."""
    if home != path:
        remove(path)
        home.rename(path)
        flush_folder(path.parent)
    for folder in path.iterdir():
        if folder.is_dir() and folder.name not in keep:
            shutil.rmtree(folder)


def _with_tensors(tree: Any, replaced: Callable[[str, Tensor], Tensor]) -> Any:
    """Copy a tree of containers with each tensor replaced, by its place in the tree.

    A container that an entry of the tree holds several times is copied once, and its first place
    counts: a few lists in a file can stand for more places than there is memory.
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
        result = copy(node)  # an ordered one may carry the versions of its modules
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
        """Leave out where the checkpoint was written: it may be moved."""
        return StorageMeta()


class _Reader(FileSystemReader):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.index = _index_of(folder)

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:  # noqa: ARG002
        """Give the index that was read with care: torch's own way unpickles anything."""
        return self.index


def _index_of(folder: Path) -> Metadata:
    """Read an index without making objects that have no place in one.

    Tensors are all that it may promise, for torch unpickles other values without looking.
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

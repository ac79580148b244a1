"""Sharded checkpoints are atomic, verified, and cannot run code."""

import itertools
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from leyden.checkpoints import shards
from leyden.checkpoints.files import META
from leyden.checkpoints.io import RESUMED, SafeCheckpointIO, load_checkpoint, newest_intact
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, find_run

WEIGHT = torch.arange(12.0).view(4, 3)
MOMENTS = torch.arange(12.0, 24.0).view(4, 3)


def checkpoint(mesh, step=1):
    """Return the checkpoint of one rank."""
    weight, moments = (
        distribute_tensor(each + step, mesh, [Shard(0)]) for each in (WEIGHT, MOMENTS)
    )
    state = {0: {"step": torch.tensor(float(step)), "exp_avg": moments}}
    return {
        **{key: kind() for key, kind in RESUMED.items()},
        "leyden": {"class_names": ["a"]},
        "global_step": step,
        "state_dict": {"weight": weight, "mean": torch.ones(3)},
        "optimizer_states": [{"state": state, "param_groups": [{"lr": 0.1, "params": [0]}]}],
        "generators": (3, [1, 2], None),
    }


def write(path, mesh, step=1):
    shards.write(checkpoint(mesh, step), path, write_meta=SafeCheckpointIO().save_checkpoint)
    return path


@pytest.fixture
def written(tmp_path, alone):
    return write(tmp_path / "checkpoints" / "last.ckpt", alone)


def values(path):
    """Return the only folder of values in a checkpoint."""
    (folder,) = (each for each in path.iterdir() if each.is_dir())
    return folder


def test_one_process_reads_it_as_an_ordinary_checkpoint(written):
    read = load_checkpoint(written)

    assert set(read) == {*RESUMED, "leyden", "generators"}
    assert type(read["state_dict"]["weight"]) is torch.Tensor
    assert torch.equal(read["state_dict"]["weight"], WEIGHT + 1)
    state = read["optimizer_states"][0]["state"][0]
    assert torch.equal(state["exp_avg"], MOMENTS + 1)
    assert state["step"] == 1
    assert read["generators"] == (3, [1, 2], None)


def test_entries_are_left_empty_on_demand(written):
    read = load_checkpoint(written, only=("state_dict",))

    assert torch.equal(read["state_dict"]["weight"], WEIGHT + 1)
    assert read["optimizer_states"][0]["state"][0]["exp_avg"].is_meta


def test_ranks_read_their_shards(written, alone):
    meta = SafeCheckpointIO().load_checkpoint(written / META)

    read = shards.fill(meta, written, mesh=alone)

    weight = read["state_dict"]["weight"]
    assert isinstance(weight, DTensor)
    assert torch.equal(weight.full_tensor(), WEIGHT + 1)
    assert type(read["state_dict"]["mean"]) is torch.Tensor


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *itertools.product(["__0_0.distcp", ".metadata"], ["missing", "cut", "flipped"]),
        (META, "missing"),
        (META, "cut"),
    ],
)
def test_damage_is_reported(name, damage, written):
    path = written / name if name == META else values(written) / name
    content = bytearray(path.read_bytes())
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-20])
    elif damage == "flipped":
        content[len(content) // 2] ^= 16
        path.write_bytes(content)

    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        load_checkpoint(written)


def test_a_damaged_checkpoint_is_replaced_by_the_previous_one(written, alone, caplog):
    folder = RunFolder(written.parent.parent)
    write(folder.previous, alone, step=0)
    assert newest_intact([folder.last, folder.previous]) == folder.last
    shard = values(written) / "__0_0.distcp"
    shard.write_bytes(shard.read_bytes()[:-1])

    assert newest_intact([folder.last, folder.previous]) == folder.previous

    assert "last.ckpt is left out" in caplog.text


class Harmful:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


def crafted(written, index):
    """Replace the index of a checkpoint and its checksum."""
    path = values(written) / ".metadata"
    path.write_bytes(index)
    meta = torch.load(written / META, weights_only=True)
    meta["shards"]["checksums"][".metadata"] = shards._checksum(path)
    torch.save(meta, written / META)


def test_an_index_runs_no_code(written, tmp_path):
    crafted(written, pickle.dumps(Harmful(tmp_path / "made")))

    with pytest.raises(UserError, match=r"is refused: .*its index holds a pathlib\.Path"):
        load_checkpoint(written)

    assert not (tmp_path / "made").exists()


def test_a_value_runs_no_code(written, tmp_path):
    """An index can declare an object in place of a tensor; torch would unpickle it."""
    folder = tmp_path / "evil"
    harmful = {"state_dict/weight": Harmful(tmp_path / "made")}
    save(harmful, storage_writer=FileSystemWriter(folder))
    for file in folder.iterdir():
        shutil.copy(file, values(written) / file.name)
    meta = torch.load(written / META, weights_only=True)
    names = [file.name for file in folder.iterdir()]
    meta["shards"]["checksums"] = {n: shards._checksum(values(written) / n) for n in names}
    torch.save(meta, written / META)

    with pytest.raises(UserError, match=r"is refused: .*its index holds a .*BytesStorageMetadata"):
        load_checkpoint(written)

    assert not (tmp_path / "made").exists()


def test_an_index_stays_in_its_folder(written):
    index = pickle.loads((values(written) / ".metadata").read_bytes())
    for each in index.storage_data.values():
        each.relative_path = f"../../{each.relative_path}"
    crafted(written, pickle.dumps(index))

    with pytest.raises(UserError, match=r"is refused: .*its index leads out of its folder"):
        load_checkpoint(written)


def meta_changed(written, **changes):
    meta = torch.load(written / META, weights_only=True)
    meta["shards"] |= changes
    torch.save(meta, written / META)


@pytest.mark.parametrize(
    "name",
    ["/dev/zero", "../secret", "..", ".", "", "a/b", "link", "fifo", "absent", 3, b"x", None],
)
def test_no_file_outside_the_checkpoint_is_read(name, written):
    """Reading an endless file or a pipe would never return."""
    (written.parent / "secret").write_text("x")
    (values(written) / "link").symlink_to("/dev/zero")
    os.mkfifo(values(written) / "fifo")

    meta_changed(written, checksums={name: 0})

    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        load_checkpoint(written)


@pytest.mark.parametrize("folder", ["/", "..", "", "link", 3, None, ["x"]])
def test_values_are_in_a_folder_of_the_checkpoint(folder, written):
    (written / "link").symlink_to(values(written))

    meta_changed(written, folder=folder, checksums={})

    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        load_checkpoint(written)


@pytest.mark.parametrize("content", [{}, {"folder": "x"}, [1], None, 3])
def test_an_incomplete_record_of_shards_is_reported(content, written):
    meta = torch.load(written / META, weights_only=True)
    torch.save(meta | {"shards": content}, written / META)

    with pytest.raises(UserError, match=r"last\.ckpt is damaged"):
        load_checkpoint(written)


def test_an_index_contains_no_path_of_this_machine(written, tmp_path):
    assert tmp_path.name.encode() not in (values(written) / ".metadata").read_bytes()


def test_a_new_checkpoint_replaces_the_old_one(written, alone):
    before = values(written)

    write(written, alone, step=2)

    assert values(written) != before
    assert load_checkpoint(written)["global_step"] == 2
    assert [path.name for path in written.parent.iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize("stop", ["save", "meta"])
def test_an_interrupted_write_keeps_the_old_checkpoint(stop, written, alone, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt

    if stop == "save":
        monkeypatch.setattr(shards, "save", die)
    with pytest.raises(KeyboardInterrupt):
        shards.write(checkpoint(alone, 2), written, write_meta=die)

    assert load_checkpoint(written)["global_step"] == 1
    monkeypatch.undo()
    write(written, alone, step=3)
    assert load_checkpoint(written)["global_step"] == 3
    assert values(written).is_dir()


def test_an_interrupted_first_write_leaves_no_checkpoint(tmp_path, alone):
    path = tmp_path / "last.ckpt"

    def die(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write(checkpoint(alone), path, write_meta=die)

    assert not path.exists()
    write(path, alone)
    assert [each.name for each in tmp_path.glob("last*")] == ["last.ckpt"]


def test_a_full_disk_keeps_the_old_checkpoint(written, alone, monkeypatch):
    def full(*_, **__):
        raise CheckpointException("", {0: (OSError("No space left on device"), [])})

    monkeypatch.setattr(shards, "save", full)

    with pytest.raises(OSError, match="No space left"):
        write(written, alone, step=2)

    assert load_checkpoint(written)["global_step"] == 1
    assert values(written).is_dir()


def test_a_linked_checkpoint_outlives_its_source(written, alone):
    other = written.with_name("best.ckpt")
    write(other, alone, step=5)

    shards.link(written, other, shutil.copy)

    shutil.rmtree(written)
    assert load_checkpoint(other)["global_step"] == 1
    assert values(other).is_dir()


def test_files_and_folders_replace_one_another(written, alone):
    SafeCheckpointIO().save_checkpoint({"leyden": {}, "global_step": 2}, written)
    assert load_checkpoint(written)["global_step"] == 2

    write(written, alone, step=3)

    assert load_checkpoint(written)["global_step"] == 3


def test_it_can_be_named_as_a_run(written):
    assert find_run(str(written)) == (RunFolder(written.parent.parent), written)


def test_nested_lists_that_multiply_are_read_once(written):
    meta = torch.load(written / META, weights_only=True)
    bomb = [torch.ones(1)]
    for _ in range(40):
        bomb = [bomb, bomb]
    torch.save(meta | {"bomb": bomb}, written / META)

    read = load_checkpoint(written)

    assert read["bomb"][0] is read["bomb"][1]
    assert torch.equal(read["state_dict"]["weight"], WEIGHT + 1)


def test_values_shared_by_two_entries_are_read_for_each(tmp_path, alone):
    content = checkpoint(alone)
    content["averaged"] = content["state_dict"]
    path = tmp_path / "last.ckpt"
    shards.write(content, path, write_meta=SafeCheckpointIO().save_checkpoint)

    read = load_checkpoint(path, only=("averaged",))

    assert torch.equal(read["averaged"]["weight"], WEIGHT + 1)
    assert read["state_dict"]["weight"].is_meta

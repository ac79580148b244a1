import os
import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from leyden.checkpoints.io import RESUMED, SafeCheckpointIO, load_checkpoint, newest_intact
from leyden.errors import UserError
from leyden.runs.folder import RunFolder


@pytest.fixture
def written(tmp_path: Path) -> Path:
    torch.save({"leyden": {"class_names": ["a"]}, "x": torch.arange(5000)}, tmp_path / "a.ckpt")
    return tmp_path / "a.ckpt"


def test_tensors_and_plain_containers_are_read(written: Path) -> None:
    checkpoint = load_checkpoint(written)

    assert checkpoint["leyden"] == {"class_names": ["a"]}
    assert torch.equal(checkpoint["x"], torch.arange(5000))


class Harmful:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.file,)


def test_objects_are_refused_and_not_created(tmp_path: Path) -> None:
    torch.save({"leyden": Harmful(tmp_path / "made")}, tmp_path / "a.ckpt")

    with pytest.raises(UserError, match=r"is refused: it holds more than tensors"):
        load_checkpoint(tmp_path / "a.ckpt")

    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:-10],
        lambda content: content[:200] + b"\xff" * 20_000 + content[20_200:],
        lambda _: b"",
        lambda _: b"not a checkpoint",
    ],
)
def test_damage_is_reported(damage: Callable[[bytes], bytes], written: Path) -> None:
    written.write_bytes(damage(written.read_bytes()))

    with pytest.raises(UserError, match=r"a\.ckpt .*damaged") as caught:
        load_checkpoint(written)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2]], ids=str)
def test_checkpoints_without_a_record_are_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.ckpt")

    with pytest.raises(UserError, match="holds no record of a run"):
        load_checkpoint(tmp_path / "a.ckpt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.ckpt does not exist"):
        load_checkpoint(tmp_path / "none.ckpt")


def test_a_flipped_bit_is_detected(written: Path) -> None:
    content, expected = written.read_bytes(), load_checkpoint(written)
    for position in range(0, len(content), 997):
        flipped = bytearray(content)
        flipped[position] ^= 16
        written.write_bytes(flipped)
        try:
            read = load_checkpoint(written)
        except UserError:
            continue
        assert torch.equal(read["x"], expected["x"])  # the bit was padding


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Limit the size of files, so that writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_the_old_checkpoint(written: Path) -> None:
    whole = written.read_bytes()

    with files_of_at_most(1000), pytest.raises(UserError, match=f"to the folder {written.parent}"):
        SafeCheckpointIO().save_checkpoint({"x": torch.zeros(5000)}, written)

    assert written.read_bytes() == whole
    assert [path.name for path in written.parent.iterdir()] == [written.name]


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Drop the privileges of root, which may write to any folder."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_folder_without_write_permission_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own are closed to others
        folder = Path(name)
        SafeCheckpointIO().save_checkpoint({"leyden": {}, "x": 1}, folder / "a.ckpt")
        folder.chmod(0o555)
        refused = pytest.raises(UserError, match=f"to the folder {folder} .*Permission denied")
        with ordinary_user(), refused:
            SafeCheckpointIO().save_checkpoint({"leyden": {}, "x": 2}, folder / "a.ckpt")
        folder.chmod(0o755)

        assert load_checkpoint(folder / "a.ckpt")["x"] == 1
        assert [path.name for path in folder.iterdir()] == ["a.ckpt"]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path)
    for step, path in enumerate((folder.previous, folder.last)):
        content = {key: kind() for key, kind in RESUMED.items()}
        SafeCheckpointIO().save_checkpoint({**content, "leyden": {}, "global_step": step}, path)
    return folder


def test_a_run_continues_its_last_checkpoint(folder: RunFolder) -> None:
    assert newest_intact([folder.last, folder.previous]) == folder.last


def test_a_damaged_last_checkpoint_is_replaced_by_the_previous_one(
    folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.last.write_bytes(folder.last.read_bytes()[:-20])

    assert newest_intact([folder.last, folder.previous]) == folder.previous
    assert "last.ckpt is left out" in caplog.text


def test_a_run_with_only_damaged_checkpoints_does_not_start_again(folder: RunFolder) -> None:
    for path in (folder.previous, folder.last):
        path.write_bytes(b"torn")

    with pytest.raises(UserError, match="damaged"):
        newest_intact([folder.last, folder.previous])


def test_a_run_without_checkpoints_starts(tmp_path: Path) -> None:
    assert newest_intact([tmp_path / "last.ckpt"]) is None

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from leyden.errors import UserError
from leyden.runs.checkpoint import load_checkpoint


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


def test_objects_are_refused_and_not_made(tmp_path: Path) -> None:
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
def test_damage_is_told(damage: Callable[[bytes], bytes], written: Path) -> None:
    written.write_bytes(damage(written.read_bytes()))

    with pytest.raises(UserError, match=r"a\.ckpt .*damaged") as caught:
        load_checkpoint(written)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [{"state_dict": {}}, [1, 2]], ids=str)
def test_checkpoints_of_others_are_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.ckpt")

    with pytest.raises(UserError, match="holds no record of a run"):
        load_checkpoint(tmp_path / "a.ckpt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.ckpt does not exist"):
        load_checkpoint(tmp_path / "none.ckpt")

import pytest

from leyden.files import META, is_checkpoint, remove, unwritable


@pytest.fixture
def places(tmp_path):
    (tmp_path / "file.ckpt").write_text("x")
    (tmp_path / "folder.ckpt").mkdir()
    (tmp_path / "folder.ckpt" / META).write_text("x")
    (tmp_path / "empty.ckpt").mkdir()
    return tmp_path


def test_files_and_folders_may_be_checkpoints(places):
    found = [path.name for path in places.iterdir() if is_checkpoint(path)]

    assert sorted(found) == ["file.ckpt", "folder.ckpt"]


@pytest.mark.parametrize("name", ["file.ckpt", "folder.ckpt", "empty.ckpt", "none.ckpt"])
def test_what_is_removed_is_gone(name, places):
    remove(places / name)

    assert not (places / name).exists()


def test_what_could_not_be_written_says_how_to_go_on(tmp_path):
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"

    error = unwritable(checkpoint, OSError("No space left.\nAnd more."))

    assert f"to the folder {checkpoint.parent} (No space left)" in str(error)
    assert f"leyden train run={tmp_path / 'run'}" in str(error)

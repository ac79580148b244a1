from contextlib import suppress

import pytest

from leyden.files import remove, write_aside


def make(path, kind):
    if kind == "folder":
        path.mkdir()
        (path / "inner").write_text("old")
    elif kind == "file":
        path.write_text("old")


@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_files_and_folders_are_removed(kind, tmp_path):
    make(tmp_path / "it", kind)

    remove(tmp_path / "it")

    assert not (tmp_path / "it").exists()


def test_a_link_is_removed_and_its_target_stays(tmp_path):
    make(tmp_path / "target", "folder")
    (tmp_path / "link").symlink_to(tmp_path / "target")

    remove(tmp_path / "link")

    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("before", ["file", "folder", "nothing"])
def test_the_destination_is_replaced_at_the_end(before, tmp_path):
    make(tmp_path / "it", before)

    with write_aside(tmp_path / "it") as aside:
        aside.write_text("new")
        assert (tmp_path / "it").exists() == (before != "nothing")

    assert (tmp_path / "it").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("before", ["file", "folder", "nothing"])
def test_errors_leave_the_destination_unchanged(before, tmp_path):
    make(tmp_path / "it", before)
    listed = sorted(tmp_path.rglob("*"))

    with suppress(OSError), write_aside(tmp_path / "it") as aside:
        aside.write_text("half")
        raise OSError("the disk is full")

    assert sorted(tmp_path.rglob("*")) == listed


def test_leftovers_of_a_killed_process_are_replaced(tmp_path):
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "it.unfinished").symlink_to(tmp_path / "elsewhere")

    with write_aside(tmp_path / "it") as aside:
        aside.write_text("new")

    assert (tmp_path / "it").read_text() == "new"
    assert (tmp_path / "elsewhere").read_text() == "mine"

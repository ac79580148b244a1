from leyden.checkpoints.files import META, is_checkpoint, unwritable


def test_files_and_folders_may_be_checkpoints(tmp_path):
    (tmp_path / "file.ckpt").write_text("x")
    (tmp_path / "folder.ckpt").mkdir()
    (tmp_path / "folder.ckpt" / META).write_text("x")
    (tmp_path / "empty.ckpt").mkdir()

    found = [path.name for path in tmp_path.iterdir() if is_checkpoint(path)]

    assert sorted(found) == ["file.ckpt", "folder.ckpt"]


def test_the_error_of_a_failed_write_says_how_to_continue(tmp_path):
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"

    error = unwritable(checkpoint, OSError("No space left.\nAnd more."))

    assert f"to the folder {checkpoint.parent} (No space left)" in str(error)
    assert f"leyden train run={tmp_path / 'run'}" in str(error)

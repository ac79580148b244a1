import os
import time
from pathlib import Path

import pytest

from leyden.config.compose import compose, freeze, save
from leyden.errors import InterruptedRunError
from leyden.runs.failed_starts import QUIET_SECONDS, is_failed_start, remove, removed_if_it_fails
from leyden.runs.folder import RunFolder


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Return the folder of a run that failed before training."""
    run = RunFolder(tmp_path / "digits/1")
    save(freeze(compose([])), run.config)
    run.write_status("failed", error="no such column")
    run.log.touch()
    return run


def test_a_run_that_failed_without_results_is_one(folder: RunFolder) -> None:
    assert is_failed_start(folder)

    remove(folder)

    assert not folder.path.parent.exists()  # which is empty


@pytest.mark.parametrize(
    "name",
    ["checkpoints/last.ckpt", "metrics.csv", "metrics.json", "fold-0/metrics.csv", "notes.txt"],
)
def test_a_run_with_results_or_with_files_of_the_user_is_none(name: str, folder: RunFolder) -> None:
    (folder.path / name).parent.mkdir(exist_ok=True)
    (folder.path / name).touch()

    assert not is_failed_start(folder)


def test_a_finished_or_a_foreign_folder_is_none(folder: RunFolder, tmp_path: Path) -> None:
    folder.write_status("finished")
    (tmp_path / "mine").mkdir()
    (tmp_path / "link").symlink_to(folder.path)

    assert not is_failed_start(folder)
    assert not is_failed_start(RunFolder(tmp_path / "mine"))
    folder.write_status("failed")
    assert not is_failed_start(RunFolder(tmp_path / "link"))


def test_a_run_that_is_being_prepared_is_none(folder: RunFolder) -> None:
    folder.write_status("running")
    with folder.held():
        assert not is_failed_start(folder)


def test_a_killed_run_is_one_after_a_while(folder: RunFolder) -> None:
    folder.write_status("running")
    assert not is_failed_start(folder)  # it may run on another machine

    long_ago = time.time() - 2 * QUIET_SECONDS
    for path in (folder.path, *folder.path.iterdir()):
        os.utime(path, (long_ago, long_ago))

    assert is_failed_start(folder)


def fail_in(run: RunFolder, error: BaseException, written: str) -> None:
    """Write a file in a run that then fails."""
    with removed_if_it_fails(run):
        (run.path / written).touch()
        raise error


@pytest.mark.parametrize(
    ("error", "left"),
    [
        (ValueError(), False),
        (ChildProcessError(), True),  # its message names the logs
        (KeyboardInterrupt(), True),
        (InterruptedRunError("stopped", exit_code=75), True),
    ],
)
def test_a_new_folder_is_removed_after_a_failure(
    error: BaseException, left: bool, tmp_path: Path
) -> None:
    run = RunFolder(tmp_path / "digits/1")
    run.path.mkdir(parents=True)

    with pytest.raises(type(error)):
        fail_in(run, error, "train.log")

    assert run.path.exists() == left


@pytest.mark.parametrize("name", ["metrics.csv", "notes.txt"])
def test_a_folder_with_something_in_it_stays(name: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    if name == "notes.txt":  # there before the run
        (tmp_path / name).touch()

    with pytest.raises(ValueError):  # noqa: PT011  # of the block
        fail_in(run, ValueError(), name)

    assert (tmp_path / name).exists()

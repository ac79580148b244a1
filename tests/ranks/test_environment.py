import os
import signal
import sys
from multiprocessing import get_context

import pytest

from leyden.ranks.environment import die_with_launcher, is_launched, rank, world_size


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_launcher_the_rank_is_0() -> None:
    assert (rank(), world_size()) == (0, 1)
    assert not is_launched()


def test_a_launcher_sets_the_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    assert not is_launched()
    monkeypatch.setenv("WORLD_SIZE", "4")

    assert (rank(), world_size()) == (3, 4)
    assert is_launched()


def _outlive_parent() -> None:
    os.getppid = lambda: 1  # type: ignore[assignment]  # as after the death of the parent
    die_with_launcher()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="uses prctl")
def test_a_process_whose_launcher_has_died_already_dies_too() -> None:
    process = get_context("spawn").Process(target=_outlive_parent)
    process.start()
    process.join()

    assert process.exitcode == -signal.SIGKILL

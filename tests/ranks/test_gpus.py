import os

import pytest

from leyden.ranks import gpus


@pytest.fixture
def take(tmp_path, monkeypatch):
    """Take a GPU out of those that are visible, and say which."""
    monkeypatch.setattr(gpus.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(gpus, "_held", [])

    def out_of(visible):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        gpus.take_gpu()
        return os.environ["CUDA_VISIBLE_DEVICES"]

    yield out_of
    for lock in gpus._held:
        lock.release()


def test_jobs_are_spread_over_the_gpus(take):
    assert [take("4,7") for _ in range(5)] == ["4", "7", "4", "7", "4"]


def test_a_gpu_that_is_free_again_is_taken_first(take):
    assert [take("0,1"), take("0,1")] == ["0", "1"]

    gpus._held.pop().release()

    assert take("0,1") == "1"


def test_a_single_gpu_is_everyones(take):
    assert [take("3"), take("3")] == ["3", "3"]
    assert not gpus._held

import pytest

from leyden.ranks.environment import is_launched, rank, world_size


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

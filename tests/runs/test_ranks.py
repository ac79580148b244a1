import pytest

from leyden.runs.ranks import is_launched, rank


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


def test_a_process_of_its_own_is_the_first() -> None:
    assert rank() == 0
    assert not is_launched()


def test_a_launcher_tells_the_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    assert not is_launched()
    monkeypatch.setenv("WORLD_SIZE", "4")

    assert rank() == 3
    assert is_launched()

from pathlib import Path

import pytest

from leyden.ranks.environment import first_error, is_launched, rank


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


def test_the_first_error_is_told_whatever_else_is_there(tmp_path: Path) -> None:
    for number, text in enumerate(['{"time": 2, "rank": 0, "error": "late"}', "{", "[]", "5"]):
        (tmp_path / f"error.rank{number}.json").write_text(text)
    (tmp_path / "error.rank9.json").write_text('{"time": 1, "rank": 9, "error": "first"}')

    assert first_error(tmp_path) == "rank 9: first"
    assert first_error(tmp_path) is None

from pathlib import Path

import pytest

from leyden.data.cache import store
from leyden.errors import UserError


def test_settings_name_the_folder_in_any_order():
    settings = {"size": 8, "steps": {"a": True, "b": False}}

    assert store.fingerprint(settings) == store.fingerprint(dict(reversed(settings.items())))
    assert store.fingerprint(settings) != store.fingerprint(settings | {"size": 9})


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LEYDEN_CACHE": "/a"}, "/a"),
        ({"LEYDEN_CACHE": "", "XDG_CACHE_HOME": "/b"}, "/b/leyden"),
        ({"LEYDEN_CACHE": "", "HOME": "/c"}, "/c/.cache/leyden"),
    ],
)
def test_the_default_folder_follows_the_environment(monkeypatch, environment, expected):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert str(store.default_folder()) == expected


def test_a_folder_is_written_once(tmp_path):
    store.write_once(tmp_path / "c", lambda folder: (folder / "a").write_text("first"))
    store.write_once(tmp_path / "c", lambda folder: (folder / "a").write_text("second"))

    assert (tmp_path / "c" / "a").read_text() == "first"


def test_a_full_disk_is_an_error_that_names_the_folder_and_leaves_nothing(tmp_path):
    def write(folder):
        (folder / "a").touch()
        Path("/dev/full").write_bytes(b"a")

    with pytest.raises(UserError, match=r"No space left.*data\.cache_dir=PATH") as caught:
        store.write_once(tmp_path / "c", write)

    assert str(tmp_path) in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["c.lock"]

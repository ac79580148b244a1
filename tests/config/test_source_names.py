from pathlib import Path

import pytest

from leyden.config.compose import compose, freeze
from leyden.config.source_names import source_name


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("penguins.csv", "penguins"),
        ("/data/penguins.v2.csv.gz", "penguins.v2"),
        ("my sales (2024).parquet", "my-sales-2024"),
        ("数据.csv", "数据"),
        (".hidden.csv", "hidden"),
        ("/", ""),
        ("a" * 300 + ".csv", "a" * 100),
        ("字" * 100, "字" * 33),
    ],
)
def test_the_name_of_a_path(path: str, expected: str) -> None:
    assert source_name(path) == expected


def test_a_folder_keeps_what_looks_like_a_suffix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "v1.2").mkdir()
    monkeypatch.chdir(tmp_path / "v1.2")

    assert source_name(str(tmp_path / "v1.2")) == source_name(".") == "v1.2"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data=table", "data.path=own/iris.csv", "data.target=species"], "iris"),
        (["data=image_folder", "data.root=own/pets"], "pets"),
        (["data=audio_folder", "data.root=own/birds/"], "birds"),
        (["data=table", "data.path=iris.csv", "data.target=x", "data.name=mine"], "mine"),
        (["data=table", "data.path=iris.csv", "data.target=x", "name=mine"], "mine"),
        (["data=image_folder", "data.root=///"], "image_folder"),
        (["data=penguins", "data.path=own/birds.csv"], "penguins"),
    ],
)
def test_a_run_is_called_after_what_it_learns_from(overrides: list[str], expected: str) -> None:
    assert freeze(compose(overrides)).name == expected


def test_a_missing_path_is_reported_as_such() -> None:
    assert compose(["data=table"]).name == "table"

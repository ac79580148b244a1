import sys
from pathlib import Path

import pytest

from leyden.config.fitting import networks_for, networks_that_take, sizes_of, takes


@pytest.mark.parametrize(
    ("sizes", "expected", "others"),
    [
        (("num_numbers", "cardinalities", "num_outputs"), ["ft_transformer", "table_mlp"], ["mlp"]),
        (("input_shape", "num_outputs"), ["cnn", "linear", "mlp", "resnet"], ["table_mlp"]),
        (("vocab_size", "num_outputs"), ["bag_mlp", "bag_of_tokens"], ["causal_transformer"]),
        (("nothing_of_the_kind",), [], ["cnn"]),
    ],
)
def test_networks_that_take_the_sizes_of_the_data(
    sizes: tuple[str, ...], expected: list[str], others: list[str]
) -> None:
    found = networks_that_take(sizes)

    assert set(expected) <= set(found)
    assert not set(others) & set(found)


OWN = """
from leyden.data.image.module import ImageData
from leyden.data.base import DataModule


class Aged(ImageData):
    def network_sizes(self):
        return super().network_sizes() | {"num_numbers": 1}


class Unread(DataModule):
    def network_sizes(self):
        return dict(self.sizes)


class Open:
    def __init__(self, *, num_outputs, **others):
        pass
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a package of the user, with data sets and a network."""
    package = f"own_{tmp_path.name}"
    home = tmp_path / "src" / package
    home.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (home / "__init__.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    return package


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        ("leyden.data.sets.penguins.Penguins", {"num_numbers", "cardinalities", "num_outputs"}),
        ("leyden.data.audio.table.SpeechText", {"num_mels", "num_tokens"}),
        ("leyden.data.text.corpus.TextCorpus", {"vocab_size"}),
        ("leyden.data.base.DataModule", None),
    ],
)
def test_sizes_are_read_from_the_source_of_a_data_set(data: str, sizes: set[str] | None) -> None:
    assert sizes_of({"_target_": data}) == sizes


def test_sizes_of_own_data_may_extend_those_of_their_base(own: str) -> None:
    assert sizes_of({"_target_": f"{own}.Aged"}) == {"input_shape", "num_outputs", "num_numbers"}
    assert sizes_of({"_target_": f"{own}.Unread"}) is None
    assert "cnn" not in networks_for({"_target_": f"{own}.Aged"})
    assert {"cnn", "table_mlp"} < set(networks_for({"_target_": f"{own}.Unread"}))


def test_a_network_of_any_arguments_takes_every_data_set(own: str) -> None:
    assert takes({"_target_": f"{own}.Open"}, {"vocab_size", "num_outputs"})
    assert not takes({"_target_": f"{own}.Open"}, {"vocab_size"})

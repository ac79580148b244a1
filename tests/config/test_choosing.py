"""The network and the task of a command that names none, chosen for the data."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leyden.cli.hydra_jobs import run_sweep
from leyden.config import projects
from leyden.config.check import check, check_targets
from leyden.config.choosing import read_table
from leyden.config.compose import choose_for, compose, freeze
from leyden.config.options import groups
from leyden.errors import UserError

HOUSES = [
    "size,rooms,kind,old,new,price",
    *(f"{n}.5,{n % 4},{'ab'[n % 2]},{n % 2},{n % 3 > 1},{n * 3.7}" for n in range(50)),
]


@pytest.fixture
def houses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return overrides that choose a table in the current directory."""
    monkeypatch.chdir(tmp_path)
    Path("houses.csv").write_text("\n".join(HOUSES))
    return ["data=table", "data.path=houses.csv"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Write an empty project to the current directory, and return its name."""
    name = f"choosing_{tmp_path.name}"
    (tmp_path / "src" / name).mkdir(parents=True)
    (tmp_path / "src" / name / "__init__.py").touch()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "conf" / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    projects._found.cache_clear()
    yield name
    projects._found.cache_clear()


def chosen(*overrides: str) -> str:
    return " ".join(choose_for(overrides).words)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], "network=cnn task=classification"),
        (["data=fashion_mnist"], "network=cnn task=classification"),
        (["data=image_folder"], "network=resnet task=classification"),
        (["data=image_folder", "data.image_size=[28,28]"], "network=cnn task=classification"),
        (["data=image_table"], "network=resnet task=classification"),
        (["data=audio_folder"], "network=resnet task=classification"),
        (["data=speech_text"], "network=quartznet task=ctc"),
        (["data=text_folder"], "network=bag_of_tokens task=classification"),
        (["data=text_table"], "network=bag_of_tokens task=classification"),
        (["data=text_corpus"], "network=causal_transformer task=language_modelling"),
        (["data=docstrings"], "network=causal_transformer task=language_modelling"),
        (["data=penguins"], "network=table_mlp task=classification"),
        (["data=table"], "network=table_mlp task=classification"),
        (["data=table", "data.target=[a,b]"], "network=table_mlp task=multilabel"),
        (["data=table", "data.target_type=number"], "network=table_mlp task=regression"),
    ],
    ids=str,
)
def test_what_is_chosen_for_each_kind_of_data(overrides: list[str], expected: str) -> None:
    assert chosen(*overrides) == expected


@pytest.mark.parametrize(
    ("target", "words", "reason"),
    [
        ("price", "task=regression", "price holds 50 different numbers in 50 rows"),
        ("kind", "task=classification", "kind holds 2 different values in 50 rows"),
        ("rooms", "task=classification", "rooms holds 4 different numbers in 50 rows"),
        ("[old,new]", "task=multilabel", "a row may have several labels"),
    ],
)
def test_the_task_follows_from_the_cells_of_the_target(
    target: str, words: str, reason: str, houses: list[str]
) -> None:
    choice = choose_for([*houses, f"data.target={target}"])

    assert choice.words == ("network=table_mlp", words)
    assert choice.reason == reason


def test_words_of_the_user_win(houses: list[str]) -> None:
    price = [*houses, "data.target=price"]

    assert chosen(*price, "network=ft_transformer") == "task=regression"
    assert chosen(*price, "task=classification") == "network=table_mlp"
    assert chosen(*price, "network=cnn", "task=ctc") == ""
    assert chosen("data=ag_news", "network=causal_transformer") == "task=language_modelling"
    config = compose([*price, "network.dropout=0.3", "loss=huber", "loss.delta=2.0"])
    assert (config.network.dropout, config.loss.delta) == (0.3, 2.0)


def test_choices_of_experiments_win() -> None:
    assert chosen("experiment=mandarin_strings") == ""
    assert chosen("experiment=penguins") == "task=classification"
    assert compose(["experiment=penguins"]).network.hidden_widths == [64]


def test_what_is_chosen_is_no_override() -> None:
    hydra = compose(["seed=3"], with_hydra=True).hydra

    assert hydra.overrides.task == ["seed=3"]
    assert hydra.job.override_dirname == "seed=3"
    assert hydra.runtime.choices["network"] == "cnn"


def test_each_job_of_a_sweep_chooses_for_itself(houses: list[str]) -> None:
    words = [*houses, "data.target=price,kind"]
    jobs = []

    run_sweep([*words, "hydra.sweep.dir=jobs"], jobs.append)

    tasks = [job.task._target_ for job in jobs]
    assert [name.rpartition(".")[2] for name in tasks] == ["Regression", "Classification"]


@pytest.mark.usefixtures("project")
def test_rows_of_a_project_come_first() -> None:
    Path("conf/choices.yaml").write_text("- {kind: image, network: mlp, task: classification}\n")

    assert chosen() == "network=mlp task=classification"
    assert chosen("data=penguins") == "network=table_mlp task=classification"


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{kid: image, network: mlp, task: classification}", "'kid'. Did you mean 'kind'?"),
        ("{kind: image, network: mlp}", "lacks task"),
    ],
)
def test_a_faulty_row_is_refused(row: str, message: str) -> None:
    Path("conf/choices.yaml").write_text(f"- {row}\n")

    with pytest.raises(UserError, match=message):
        compose([])


def test_every_row_names_options() -> None:
    for row in read_table():
        assert row["network"] in groups()["network"]
        assert row["task"] in groups()["task"]


OWN = """
from leyden.data.base import DataModule
from leyden.data.image.folder import ImageFolder
from leyden.data.look import Look


def look_at_counts(data):
    return Look(kind="image", target="number", side=len(data["name"]), reason="cells are counted")


class Counts(ImageFolder):
    look = "{package}.sets.look_at_counts"


class Blind(ImageFolder):
    look = "{package}.sets.look_at_nothing"


class Sounds(DataModule):
    def network_sizes(self):
        return {{"num_mels": 40, "num_tokens": 9}}


class Points(DataModule):
    def network_sizes(self):
        return {{"num_points": 40}}
"""


@pytest.fixture
def own(project: str) -> None:
    """Add data sets to the project."""
    Path("src", project, "sets.py").write_text(OWN.format(package=project))
    for name in ("Counts", "Blind", "Sounds", "Points"):
        text = f"# Own.\n_target_: {project}.sets.{name}\nname: own\n"
        Path("conf/data", f"{name.lower()}.yaml").write_text(text)


@pytest.mark.usefixtures("own")
def test_own_data_may_be_looked_at_by_a_function_of_their_own() -> None:
    choice = choose_for(["data=counts"])

    assert choice.words == ("network=resnet", "task=regression")
    assert choice.reason == "cells are counted"


@pytest.mark.usefixtures("own")
def test_a_look_that_does_not_exist_is_named() -> None:
    with pytest.raises(UserError, match=r"look_at_nothing' of its class cannot be imported"):
        compose(["data=blind"])


@pytest.mark.usefixtures("own")
def test_own_data_without_a_look_get_the_first_network_that_takes_their_sizes() -> None:
    assert chosen("data=sounds") == "network=quartznet task=ctc"
    assert chosen("data=points", "network=cnn") == "task=classification"
    with pytest.raises(UserError, match=r"Give network=OPTION and task=OPTION"):
        compose(["data=points"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["network=cnn"], r"^network: CNN takes .*: network=ft_transformer or network=table_mlp"),
        (["task=classification"], r"price holds 50 .*: task=regression; or .*target_type=class\."),
        (["task=ctc"], r"^task: CTC learns transcripts, but price holds .*: task=regression\."),
        (["data.target=kind", "task=regression"], r"but kind holds .*: task=classification\."),
        (["data.target=prise"], r"'prise', which the table does not have. Did you mean 'price'"),
        (["data.path=."], "is a folder"),
        (["data.group=kind", "data.time=size"], "data: group and time both split the rows"),
        (["data.header=7"], "data.header: expected"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_with_the_options_that_fit(
    overrides: list[str], message: str, houses: list[str]
) -> None:
    with pytest.raises(UserError, match=message):
        accept([*houses, "data.target=price", *overrides])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["task=ctc"], r"each with a class\. Choose .*: task=classification"),
        (["network=quartznet"], r"QuartzNet takes .*network=cnn"),
    ],
)
def test_images_are_neither_transcribed_nor_sounds(
    overrides: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        accept(["data=image_folder", f"data.root={tmp_path}", *overrides])


def accept(overrides: list[str]) -> None:
    config = freeze(compose(overrides))
    check(config)
    check_targets(config)

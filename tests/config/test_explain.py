from pathlib import Path

import pytest

from leyden.config.explain import Explanation, explain
from leyden.config.shorthands import expand_shorthands
from leyden.errors import UserError


def explained(key: str, *overrides: str) -> Explanation:
    return explain(key, expand_shorthands(overrides))


def places(found: Explanation, key: str) -> list[str]:
    """Return the places that set a key without their lines, and what they set."""
    return [f"{each.place.partition(':')[0]} {each.text}" for each in found.setters[key]]


def test_all_setters_are_listed_in_order() -> None:
    found = explained("optimizer.lr", "experiment=penguins", "optimizer.lr=0.01")

    assert found.value == "0.01"
    assert places(found, "optimizer.lr") == [
        "conf/optimizer/adamw.yaml 0.003",
        "conf/experiment/penguins.yaml 0.005",
        "command line optimizer.lr=0.01",
    ]
    assert found.kind.startswith("a float")
    assert "learning rate" in found.meaning


def test_the_file_that_hydra_merges_last_is_listed_last() -> None:
    found = explained("trainer.max_epochs", "trainer=debug", "experiment=penguins", "debug=smoke")

    assert [each.rpartition("/")[2] for each in places(found, "trainer.max_epochs")] == [
        "auto.yaml 30",
        "debug.yaml 2",
        "penguins.yaml 60",
        "smoke.yaml 1",
    ]
    assert found.value == "1"


def test_links_are_followed() -> None:
    found = explained("task.network.channels", "network.channels=[4]")

    assert found.value == "[4]"
    assert places(found, "task.network.channels") == ["conf/task/_base.yaml ${network}"]
    assert places(found, "network.channels") == [
        "conf/network/cnn.yaml [48, 96, 192]",
        "command line network.channels=[4]",
    ]
    assert found.meaning.startswith("Channels of each convolution")


@pytest.mark.parametrize("key", ["task.mix", "task/mix"])
def test_a_group_lists_its_options(key: str) -> None:
    found = explained(key, "task/mix=mixup")

    assert found.value == "mixup"
    assert places(found, "task/mix") == [
        "conf/task/classification.yaml none",
        "command line task/mix=mixup",
    ]
    assert [each.name for each in found.options if each.is_chosen] == ["mixup"]
    assert all(each.what for each in found.options)


def test_an_experiment_chooses_the_options_of_other_groups() -> None:
    found = explained("network", "experiment=penguins")

    assert places(found, "network") == [
        "conf/train.yaml _auto",
        "conf/experiment/penguins.yaml table_mlp",
    ]
    assert found.target is not None
    assert found.target[0] == "leyden.networks.table_mlp.TableMLP"
    assert "hidden_widths" in found.keys


def test_networks_that_fit_the_data_are_told_apart() -> None:
    options = {each.name: each.fits for each in explained("network", "data=table").options}

    assert (options["table_mlp"], options["cnn"]) == (True, False)
    assert {each.fits for each in explained("optimizer").options} == {None}


def test_what_is_chosen_for_the_data_has_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("\n".join(["area,price", *(f"{n},{n}.5" for n in range(60))]))
    words = ["data=table", f"data.path={file}", "data.target=price"]

    network, task = (explained(group, *words) for group in ("network", "task"))

    assert (network.value, task.value) == ("table_mlp", "regression")
    assert places(task, "task") == ["conf/train.yaml _auto", "conf/choices.yaml regression"]
    assert "price" in task.setters["task"][-1].comment
    assert places(explained("network.dropout", *words), "network.dropout") == [
        "conf/network/table_mlp.yaml 0.1"
    ]
    assert explained("network", *words, "network=linear").setters["network"][-1].text == (
        "network=linear"
    )


def test_several_options_of_one_group_can_be_chosen() -> None:
    found = explained("callbacks", "callbacks=[default,ema]")

    assert [each.name for each in found.options if each.is_chosen] == ["default", "ema"]


def test_an_argument_that_no_file_sets_is_explained() -> None:
    found = explained("trainer.val_check_interval")

    assert (found.value, found.default) == (None, "null")
    assert not found.setters["trainer.val_check_interval"]
    assert "an int" in found.kind
    assert "validation" in found.meaning


def test_a_key_that_is_left_out_names_who_left_it_out() -> None:
    found = explained("data.augment.shift.pixels", "debug=overfit")

    assert found.value is None
    assert places(found, "data.augment.shift.pixels")[-1] == "conf/debug/overfit.yaml null"


@pytest.mark.parametrize(
    ("key", "overrides", "value"),
    [
        ("data.path", ["data=table"], "???"),
        ("data.columns.year", ["experiment=penguins"], "ignored"),
        ("optimizer.betas", [], "[0.9, 0.999]"),
        ("name", [], "digits"),
        ("hydra.sweep.subdir", [], "${job_folder:${hydra.job.num},${hydra.job.override_dirname}}"),
    ],
)
def test_values(key: str, overrides: list[str], value: str) -> None:
    assert explained(key, *overrides).value == value


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("optimizer.lrr", "Did you mean 'optimizer.lr'?"),
        ("netwrk", "Did you mean 'network'?"),
        ("data.nothing.x", "Known: data.augment"),
    ],
)
def test_unknown_keys_are_refused(key: str, hint: str) -> None:
    with pytest.raises(UserError) as caught:
        explained(key)

    assert hint in str(caught.value)

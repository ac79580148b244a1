from pathlib import Path

import pytest
from omegaconf import OmegaConf

from leyden.config.compose import (
    Config,
    compose,
    freeze,
    from_plain,
    keys,
    load,
    save,
    to_plain,
    with_overrides,
)
from leyden.config.options import groups
from leyden.errors import UserError


@pytest.fixture(scope="module")
def frozen() -> Config:
    return freeze(compose([]))


def test_groups_are_the_folders_of_conf() -> None:
    found = groups()

    assert found["network"] == sorted(found["network"])
    assert "linear" in found["network"]
    assert {"cutmix", "mixup", "none"} <= set(found["task/mix"])
    assert "." not in found
    assert [option for options in found.values() for option in options if option[0] == "_"] == []


def test_keys_are_dotted_and_follow_no_link(frozen: Config) -> None:
    found = keys(frozen)

    assert {"optimizer", "optimizer.lr", "callbacks.checkpoint.monitor", "task.network"} < {*found}
    assert not [key for key in found if key.startswith("task.network.") or "_target_" in key]


def test_the_node_of_hydra_is_left_out_by_default() -> None:
    assert "hydra" not in compose([])
    assert compose(["network=mlp"], with_hydra=True).hydra.runtime.choices.network == "mlp"


def test_freezing_evaluates_environment_and_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_NAME", "before")
    config = compose(["name=${oc.env:MY_NAME}", "+now=${now:%Y}"])

    frozen = freeze(config)
    monkeypatch.setenv("MY_NAME", "after")

    assert frozen.name == "before"
    assert frozen.now.isdigit()
    assert config.name == "after"


def test_freezing_keeps_links(frozen: Config) -> None:
    assert to_plain(frozen)["data"]["seed"] == "${seed}"
    assert to_plain(frozen)["task"]["network"] == "${network}"
    assert with_overrides(frozen, ["seed=5"]).data.seed == 5


@pytest.mark.parametrize("key", ["root", "path"])
def test_freezing_makes_paths_of_data_absolute(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def frozen_path(value: str) -> str | None:
        table = ["data=image_table", "data.path=x", "data.image=x", "data.target=x"]
        return freeze(compose([*table, f"data.{key}={value}"])).data[key]

    assert frozen_path("images") == str(tmp_path / "images")
    assert frozen_path("'~/images'") == str(Path.home() / "images")
    assert frozen_path("null") is None


def test_frozen_config_takes_no_unknown_key(frozen: Config) -> None:
    with pytest.raises(AttributeError):
        frozen.copy().unknown = 1


def test_missing_value_is_named() -> None:
    with pytest.raises(UserError, match=r"data\.root is missing.*data\.root=VALUE"):
        freeze(compose(["data=image_folder"]))


def test_broken_link_is_named() -> None:
    with pytest.raises(UserError, match=r"name: .*'nothing' not found"):
        freeze(compose(["name=${nothing}"]))


def test_saved_config_is_loaded_unchanged(frozen: Config, tmp_path: Path) -> None:
    file = tmp_path / "runs" / "config.yaml"

    save(frozen, file)

    assert load(file) == frozen
    assert load(file, ["optimizer.lr=0.5"]).optimizer.lr == 0.5
    assert [path.name for path in file.parent.iterdir()] == ["config.yaml"]
    assert from_plain(to_plain(frozen)) == frozen


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("optimizer.lr=0.5", "optimizer.lr", 0.5),
        ("network.channels=[1,2]", "network.channels", [1, 2]),
        ("callbacks.early_stopping=null", "callbacks.early_stopping", None),
        ("+optimizer.eps=1e-6", "optimizer.eps", 1e-6),
        ("++optimizer.lr=2", "optimizer.lr", 2),
        ("name='a=b'", "name", "a=b"),
    ],
)
def test_override_changes_a_value(frozen: Config, override: str, key: str, value: object) -> None:
    changed = with_overrides(frozen, [override])

    assert OmegaConf.select(changed, key) == value
    assert OmegaConf.select(frozen, key) != value or override.startswith("++data")


def test_override_changes_a_whole_option(frozen: Config) -> None:
    changed = with_overrides(frozen, ["network=linear", "task/mix=mixup", "callbacks=[ema]"])

    assert changed.network._target_.endswith("Linear")
    assert changed.task.mix.alpha == 0.2
    assert list(changed.callbacks) == ["ema"]


def test_later_overrides_reach_into_a_new_option(frozen: Config) -> None:
    changed = with_overrides(frozen, ["network=mlp", "network.dropout=0.5"])

    assert changed.network.dropout == 0.5
    assert "channels" not in changed.network


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lrr=1", r"optimizer\.lrr=1 names an unknown key.*'optimizer\.lr'"),
        ("optimizer.lr=1,2", r"optimizer\.lr=1,2 gives several values"),
        ("network=cnn,mlp", r"network=cnn,mlp gives several values"),
        ("debug=smoke", r"debug=smoke .* conf/debug/"),
        ("experiment=fashion_mnist", r"experiment=fashion_mnist .* conf/experiment/"),
    ],
)
def test_refused_override_is_named(frozen: Config, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        with_overrides(frozen, [override])


def written(path: Path, config: Config, added: str) -> Path:
    save(config, path)
    path.write_text(f"{path.read_text()}{added}\n")
    return path


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ("a: &x [1]\nb: *x", "contains an alias"),
        (f"a: {'[' * 300}{']' * 300}", "levels deep"),
        (f"a: {'[' * 20_000}{']' * 20_000}", "levels deep"),
        (f"a: 1{':1' * 100_000}", "a number of more than 100"),
        (f"a: {'9' * 5_000}", "a number of more than 100"),
        (f"a: '{'x' * 1_000_000}'", "more than 1,000,000 bytes"),
        ("5: 6", "its top level has a key of type int"),
        ("a: {.nan: 1}", "a has a key of type float"),
        ("a: 2020-01-01", "a is a date"),
        ("a: !!binary aGk=", "contains a tag"),
        ("a: !!set {b}", "contains a tag"),
        ("a: !!python/name:os.system", "contains a tag"),
        ("a: !!int ''", "contains a tag"),
        ("a: !!bool b", "contains a tag"),
        ("a: !!timestamp b", "contains a tag"),
        ("a: !!omap [b: c]", "contains a tag"),
        ("a: ${oc.env:HOME}", "only links"),
        ("a: \\${seed}", "only links"),
        ("seed: ${seed}", "in a circle"),
        ("a: [", "while parsing|expected"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "damaged|refused"),
    ],
    ids=lambda text: text[:20],
)
def test_files_that_no_run_writes_are_refused_in_one_line(
    added: str, message: str, frozen: Config, tmp_path: Path
) -> None:
    file = written(tmp_path / "config.yaml", frozen, added)

    with pytest.raises(UserError, match=message) as caught:
        load(file)

    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_a_config_without_required_keys_is_refused(frozen: Config) -> None:
    plain = to_plain(frozen)
    del plain["network"], plain["seed"]

    with pytest.raises(UserError, match="it lacks network, seed"):
        from_plain(plain)


def test_a_value_that_would_be_evaluated_again_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUE", "${oc.env:HOME}")
    for value in ("'${oc.env:VALUE}'", r"'\${oc.env:HOME}'", r"'\${seed}'"):
        with pytest.raises(UserError, match=r"contains \$\{ after it is evaluated"):
            freeze(compose([f"+x={value}"]))


def test_a_frozen_target_is_literal() -> None:
    frozen = freeze(compose(["+cls=torch.nn.MSELoss", "loss._target_=${cls}"]))

    assert to_plain(frozen)["loss"]["_target_"] == "torch.nn.MSELoss"


def test_a_file_cannot_choose_cache_or_mirrors(frozen: Config, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    save(with_overrides(frozen, ["data.cache_dir=/x", "+data.mirrors=[http://x]"]), file)

    assert load(file).data.cache_dir is None
    assert "mirrors" not in load(file).data
    given = load(file, ["data.cache_dir=/y", "+data.mirrors=[http://y]"])
    assert (given.data.cache_dir, given.data.mirrors) == ("/y", ["http://y"])
    assert load(file, own=True).data.cache_dir == "/x"


def test_an_override_by_a_node_replaces_the_old_node(frozen: Config) -> None:
    changed = with_overrides(frozen, ["callbacks.early_stopping={_target_: a.B, monitor: x}"])
    assert dict(changed.callbacks.early_stopping) == {"_target_": "a.B", "monitor": "x"}
    changed = with_overrides(frozen, ["callbacks.early_stopping={monitor: x}"])
    assert changed.callbacks.early_stopping.patience == 15

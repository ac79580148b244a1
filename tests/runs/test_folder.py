import json
from pathlib import Path

import pytest

from leyden.config.compose import Config, compose, freeze, save
from leyden.errors import UserError
from leyden.runs.folder import (
    RUNS,
    RunFolder,
    existing_folder,
    find_run,
    new_folder,
    newest_run,
    write_json,
)


@pytest.fixture(scope="module")
def config() -> Config:
    return freeze(compose(["name=mine"]))


def a_run(path: Path, config: Config, state: str | None = "running") -> RunFolder:
    folder = RunFolder(path)
    save(config, folder.config)
    if state:
        write_json(folder.status, {"state": state})
    return folder


def touched(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_status_keeps_its_start(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_status() == {}

    folder.write_status("running")
    started = folder.read_status()
    assert started["ended"] is None
    write_json(folder.status, started | {"started": "long ago"})
    folder.write_status("failed", error="ValueError: no")

    ended = folder.read_status()
    assert ended["started"] == "long ago"
    assert ended["state"] == "failed"
    assert ended["error"] == "ValueError: no"
    assert ended["ended"] is not None


def test_a_damaged_status_is_ignored(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.status.write_text('{"state": "fini')

    assert folder.read_status() == {}


def test_metrics_are_empty_before_the_end(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    assert folder.read_metrics() == {}

    write_json(folder.metrics, {"val/loss": 0.5})

    assert folder.read_metrics() == {"val/loss": 0.5}


def test_json_is_written_atomically(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    write_json(file, [1])

    with pytest.raises(TypeError):
        write_json(file, {"a": object()})

    assert json.loads(file.read_text()) == [1]
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_only_one_process_holds_a_folder(tmp_path: Path) -> None:
    one, other = RunFolder(tmp_path), RunFolder(tmp_path)
    refused = pytest.raises(UserError, match="trained by another process")
    with one.held(), refused, other.held():
        pass
    with other.held():
        pass


def test_a_folder_is_free_after_an_error(tmp_path: Path) -> None:
    kept = None
    try:
        with RunFolder(tmp_path).held():
            raise ValueError
    except ValueError as error:
        kept = error  # and with it the frame that held the lock

    with RunFolder(tmp_path).held():
        assert kept is not None


def test_a_folder_selects_its_best_checkpoint(tmp_path: Path, config: Config) -> None:
    folder = a_run(tmp_path / "run", config)
    last = touched(folder.last)
    assert find_run(str(folder.path)) == (folder, last)

    best = touched(folder.best)

    assert find_run(str(folder.path)) == (folder, best)
    assert find_run(str(last)) == (folder, last)


def test_a_checkpoint_may_be_anywhere(tmp_path: Path) -> None:
    file = touched(tmp_path / "copied.ckpt")

    assert find_run(str(file)) == (RunFolder(tmp_path), file)


def test_runs_without_a_checkpoint_say_how_to_get_one(tmp_path: Path, config: Config) -> None:
    a_run(tmp_path / "run", config)

    with pytest.raises(UserError, match=r"has no checkpoint.*leyden train run="):
        find_run(str(tmp_path / "run"))


def test_other_files_are_refused_as_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a run folder nor a checkpoint.*\.ckpt"):
        find_run(str(touched(tmp_path / "x.png")))


def test_mistyped_run_gets_a_hint(tmp_path: Path, config: Config) -> None:
    a_run(tmp_path / "2026-11-23", config)

    with pytest.raises(UserError, match=r"does not exist.*Did you mean '2026-11-23'"):
        existing_folder(str(tmp_path / "2026-11-24"))
    with pytest.raises(UserError, match=r"is not a run folder: it has no config\.yaml"):
        existing_folder(str(tmp_path))


@pytest.mark.parametrize("state", ["running", "interrupted", "failed", None])
def test_unfinished_runs_are_found(state: str | None, tmp_path: Path, config: Config) -> None:
    run = a_run(tmp_path / "mine" / "1", config, state)

    assert newest_run(config, tmp_path, finished=False) == run


def test_the_newest_run_is_found(tmp_path: Path, config: Config) -> None:
    for time in ("2026-01-02", "2026-01-03", "2026-01-01"):
        a_run(tmp_path / "mine" / time, config)
    a_run(tmp_path / "mine" / "2026-01-04", config, "finished")

    found = newest_run(config, tmp_path, finished=False)

    assert found is not None
    assert found.path.name == "2026-01-03"
    found = newest_run(config, tmp_path, finished=True)
    assert found is not None
    assert found.path.name == "2026-01-04"


def test_unfinished_jobs_of_a_sweep_are_found(tmp_path: Path, config: Config) -> None:
    run = a_run(tmp_path / "mine" / "2026-sweep" / "3", config)

    assert newest_run(config, tmp_path, finished=False) == run


def test_runs_and_cross_validations_of_one_config_are_told_apart(
    tmp_path: Path, config: Config
) -> None:
    run = a_run(tmp_path / "mine" / "1", config)
    once, twice, damaged = (a_run(tmp_path / "mine" / name, config) for name in "234")
    write_json(once.crossval, {"repeats": 1})
    write_json(twice.crossval, {"repeats": 2})
    damaged.crossval.write_text("{")

    assert newest_run(config, tmp_path, finished=False) == run
    assert newest_run(config, tmp_path, finished=False, repeats=1) == once
    assert newest_run(config, tmp_path, finished=False, repeats=2) == twice


def test_runs_of_other_names_and_configs_are_not_found(tmp_path: Path, config: Config) -> None:
    assert newest_run(config, tmp_path, finished=False) is None
    a_run(tmp_path / "other" / "1", config)
    a_run(tmp_path / "mine" / "1", freeze(compose(["name=mine", "seed=1"])))
    a_run(tmp_path / "mine" / "2", config, "finished")

    assert newest_run(config, tmp_path, finished=False) is None


def test_a_damaged_config_does_not_hide_other_runs(tmp_path: Path, config: Config) -> None:
    run = a_run(tmp_path / "mine" / "1", config)
    for name, text in {"2": "a: ${missing}", "3": "a: [", "4": ""}.items():
        touched(tmp_path / "mine" / name / "config.yaml").write_text(text)

    assert newest_run(config, tmp_path, finished=False) == run


def test_a_number_names_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    numbered = freeze(compose(["name=3"]))
    folder = new_folder(numbered)
    assert folder.path.is_absolute()  # a logger opens its files again, wherever the process is then
    save(numbered, folder.config)

    found = newest_run(numbered, RUNS, finished=False)
    assert found is not None
    assert found.path == folder.path.resolve()


def test_files_of_other_programs_contain_neither_metrics_nor_warnings(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    huge = "1" + "0" * 400
    folder.metrics.write_text(f'{{"val/loss": {huge}, "val/f1": true, "val/auroc": "x"}}')
    folder.cleaning.write_text('{"warnings": 5}')

    assert [f"{value:.4f}" for value in folder.read_metrics().values()] == ["inf"]
    assert folder.read_cleaning_warnings() == []

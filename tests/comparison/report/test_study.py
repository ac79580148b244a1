import shlex

import pytest

from fabricated import write_crossval, write_run, write_sweep
from leyden.comparison.report.study import default_overrides, read_study, repeat_command
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, write_json


def verdicts(study):
    return {
        row.overrides.get("optimizer.lr", row.overrides.get("model")): difference.verdict
        for row in study.all_rows
        if (difference := study.difference_of(row))
    }


def test_differences_are_told_from_noise(sweep):
    study = read_study(sweep)
    assert study.best.overrides == {"optimizer.lr": 0.01}
    assert study.default.overrides == {"optimizer.lr": 0.003}
    assert verdicts(study) == {0.003: "noise", 0.1: "differs"}


def test_single_runs_are_not_tested(tmp_path):
    study = read_study(write_sweep(tmp_path / "sweep", {0.1: [0.3], 0.2: [0.9], 0.3: [None]}))
    assert verdicts(study) == {0.2: "untested", 0.3: "untested"}


def test_p_values_are_adjusted_for_all_comparisons(tmp_path):
    losses = {0.1: [0.50, 0.51, 0.52], 0.2: [0.60, 0.65, 0.62], 0.3: [0.61, 0.66, 0.63]}
    study = read_study(write_sweep(tmp_path / "sweep", losses))
    first, second = map(study.difference_of, study.rows[1:])
    assert first.p_value >= 2 * min(first.estimate.p_value, second.estimate.p_value) - 1e-12


def test_baselines_of_the_same_data_are_ranked(sweep):
    for folder, batch_size in (("2-baselines", 32), ("3-baselines", 64)):
        loss = 0.45 if batch_size == 32 else 0.1
        inside = sweep.parent / folder / "linear"
        write_run(inside, loss=loss)
        config = RunFolder(inside).config
        config.write_text(config.read_text().replace("batch_size: 32", f"batch_size: {batch_size}"))
        write_json(RunFolder(inside).job, {"number": 0, "overrides": {"model": "linear"}})
        write_json(inside.parent / "sweep.json", {"swept": {"model": ["linear"]}})
    study = read_study(sweep)
    assert [study.is_baseline(row) for row in study.all_rows] == [True, False, False, False]
    assert study.all_rows[0].metrics["val/loss"].mean == 0.45  # not that of other data
    assert study.best.overrides == {"optimizer.lr": 0.01}
    # On splits, they are not comparable with folds.
    assert not read_study(write_crossval(sweep.parent / "1-crossval", [0.1, 0.2])).baselines


def test_the_best_is_repeated_by_the_words_of_the_command(tmp_path):
    values = {"[64,32]": [0.1], 'it\'s "so"': [0.2], "true": [0.3]}
    study = read_study(write_sweep(tmp_path / "sweep", values, key="network.kind"))
    commands = [repeat_command(study, result) for result in study.results]
    assert commands[0] == [*("leyden", "train", "network=mlp", 'network.kind="[64,32]"', "seed=0")]
    assert commands[1][3] == 'network.kind="it\'s \\"so\\""'
    assert commands[2][3] == 'network.kind="true"'  # the text, not the boolean
    assert shlex.split(shlex.join(commands[1])) == commands[1]
    assert default_overrides(study) == ["network=mlp"]


def test_added_keys_stay_added(tmp_path):
    path = write_sweep(tmp_path / "sweep", {1: [0.1]}, key="network.depth")
    provenance = RunFolder(path / "0_job").provenance
    write_json(provenance, {"command": "leyden train -m +network.depth=1,2 hydra/launcher=joblib"})
    study = read_study(path)
    assert repeat_command(study, study.results[0])[2:] == ["+network.depth=1", "seed=0"]


def test_one_job_of_a_sweep_is_repeated_alone(tmp_path):
    path = write_sweep(tmp_path / "sweep", {0.1: [0.3, 0.4], 0.2: [0.1]})
    study = read_study(path / "1_job")
    command = repeat_command(study, study.results[0])
    assert command == ["leyden", "train", "network=mlp", "optimizer.lr=0.1", "seed=1"]


def test_the_command_of_a_run_that_stands_in_for_a_job_is_not_that_of_the_sweep(tmp_path):
    earlier = write_run(tmp_path / "earlier", loss=0.1)
    write_json(RunFolder(earlier).provenance, {"command": "leyden train -m network=mlp,cnn"})
    path = write_sweep(tmp_path / "sweep", {0.1: [0.3], 0.2: [0.2]})
    job = {"number": 0, "overrides": {"optimizer.lr": 0.1, "seed": 0}, "run": "../../earlier"}
    write_json(RunFolder(path / "0_job").job, job)
    study = read_study(path)
    assert study.best.results[0].path == earlier
    command = repeat_command(study, study.best.results[0])
    assert command == ["leyden", "train", "network=mlp", "optimizer.lr=0.1", "seed=0"]


def test_a_cross_validation_is_one_point(tmp_path):
    study = read_study(write_crossval(tmp_path / "1-crossval", [0.4, 0.5, 0.6]))
    assert study.kind == "crossval"
    assert study.best.monitor == "test/loss"
    assert study.best.metrics["test/loss"].count == 3


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="not the folder of a run"):
        read_study(tmp_path)
    write_json(tmp_path / "sweep.json", {"swept": {}})
    with pytest.raises(UserError, match="no jobs yet"):
        read_study(tmp_path)

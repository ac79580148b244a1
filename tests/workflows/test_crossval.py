"""Cross-validation: what is trained, what is measured, and what the ensemble answers."""

import csv
import json
import os
import shutil
import threading

import numpy as np
import pytest
import torch

from leyden.checkpoints.io import load_checkpoint
from leyden.config.check import LARGEST_SEED
from leyden.config.compose import compose, freeze, select
from leyden.errors import UserError
from leyden.runs.fixed_keys import claim
from leyden.runs.folder import RunFolder
from leyden.serving.loading import load
from leyden.workflows.crossval import crossval, ensemble_config, list_folds
from leyden.workflows.evaluate import evaluate
from leyden.workflows.finished import load_run
from leyden.workflows.start import start

QUICK = (
    "network=mlp",
    "network.hidden_widths=[64]",
    "trainer=cpu",
    "trainer.max_epochs=1",
    "logger=[]",
    "callbacks=[checkpoint]",
)


def lines_of(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def cross_validated(path, *words, folds=3, repeats=1, **options):
    config = ensemble_config(freeze(compose(words)), folds=folds, repeats=repeats)
    folder = RunFolder(path)
    path.mkdir(exist_ok=True)
    claim(folder, config)
    crossval(config, folder, repeats=repeats, **options)
    return folder


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Give a finished cross-validation of digits, which tests may read but not change."""
    return cross_validated(tmp_path_factory.mktemp("digits") / "crossval", *QUICK)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Give a table of a number to predict from another, with groups and days."""
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    price = 1_700_000_000 + 3 * x + 0.1 * random.normal(size=200)
    lines = [
        f"{x[row]:.6f},{price[row]:.6f},{'ab'[int(x[row] > 0)]},{row // 4},{row // 2}"
        for row in range(200)
    ]
    file = tmp_path_factory.mktemp("rows") / "rows.csv"
    file.write_text("\n".join(["x,price,side,owner,day", *lines]))
    return file


def table_words(rows, *words):
    return (
        "data=table",
        f"data.path={rows}",
        "network=table_mlp",
        "trainer=cpu",
        "trainer.max_epochs=15",
        "data.batch_size=16",
        "logger=[]",
        "callbacks=[checkpoint]",
        *words,
    )


def numbers(rows, *words):
    left_out = ["++data.columns={side:ignored,owner:ignored}"]
    wanted = ["data.target=price", "data.target_type=number", "task=regression"]
    return table_words(rows, *left_out, *wanted, *words)


def test_every_row_of_the_folds_is_predicted_by_a_network_that_did_not_learn_it(digits):
    lines = lines_of(digits.path / "oof.csv")
    runs = [load_run(str(digits.path / f"fold-{fold}")) for fold in range(3)]
    for run in runs:
        run.data.prepare_data()
        run.data.split_rows("test")

    assert len(lines) == len({line["source"] for line in lines})
    assert len(lines) == sum(len(run.data.row_numbers("test")) for run in runs)
    for line in lines:
        run = runs[int(line["fold"])]
        row = int(line["source"].removeprefix("digits[").removesuffix("]"))
        assert row in run.data.row_numbers("test")
        assert run.data.cached.class_names[run.data.cached.targets[row]] == line["target"]
        probabilities = [float(line[f"probability of {digit}"]) for digit in range(10)]
        assert sum(probabilities) == pytest.approx(1, abs=1e-5)
        assert int(line["class"]) == np.argmax(probabilities)


def test_accuracies_of_the_folds_are_those_of_the_predictions(digits):
    lines = lines_of(digits.path / "oof.csv")

    for fold in lines_of(digits.path / "folds.csv"):
        own = [line for line in lines if line["fold"] == fold["fold"]]
        accuracy = np.mean([line["class"] == line["target"] for line in own])
        assert float(fold["test/accuracy"]) == pytest.approx(accuracy)
        assert int(fold["n_test"]) == len(own)
    accuracies = [float(fold["test/accuracy"]) for fold in lines_of(digits.path / "folds.csv")]
    assert digits.read_metrics()["test/accuracy"] == pytest.approx(np.mean(accuracies))


def test_folds_have_seeds_of_their_own_and_one_seed_of_the_splits(digits):
    config = ensemble_config(
        freeze(compose([*QUICK, "seed=5", "data.splitter.seed=${seed}"])), folds=2, repeats=2
    )
    folds = list_folds(config, digits, repeats=2)

    assert [fold.config.seed for fold in folds] == [5, 6, 7, 8]
    assert [select(fold.config, "data.seed") for fold in folds] == [5, 6, 7, 8]
    config.seed = LARGEST_SEED
    assert [fold.config.seed for fold in list_folds(config, digits, repeats=1)] == [LARGEST_SEED, 0]
    assert {fold.config.data.splitter.seed for fold in folds} == {5}
    assert [fold.folder.path.name for fold in folds] == [
        *("fold-0", "fold-1", "repeat-1-fold-0", "repeat-1-fold-1")
    ]


def test_a_splitter_without_folds_gives_its_shares_to_one_with_folds():
    words = ["data.splitter.test_fraction=0.3", "data.splitter.seed=4"]
    splitter = ensemble_config(freeze(compose(words)), folds=7).data.splitter

    assert splitter._target_.endswith("KFold")
    assert (splitter.folds, splitter.fold) == (7, None)
    assert (splitter.test_fraction, splitter.seed) == (0.3, 4)


def test_a_splitter_with_folds_keeps_their_number():
    words = ["data/splitter=kfold", "data.splitter.folds=7"]
    config = freeze(compose(words))

    assert ensemble_config(config).data.splitter.folds == 7
    assert ensemble_config(config, folds=3).data.splitter.folds == 3


def test_the_ensemble_averages_probabilities_of_rows_that_none_has_learned(digits):
    whole = load_run(str(digits.path))
    whole.data.prepare_data()
    whole.data.setup("test")
    batch = next(iter(whole.data.test_dataloader()))
    members = [load_run(str(digits.path / f"fold-{fold}")) for fold in range(3)]
    probabilities = []
    for member in members:
        member.data.prepare_data()
        member.data.setup("test")
        learned = np.concatenate([member.data.row_numbers(split) for split in ("train", "val")])
        assert not set(batch.rows.tolist()) & set(learned)
        assert not set(batch.rows.tolist()) & set(member.data.row_numbers("test"))
        own = member.data.dataset(member.data.cached)[0, batch.rows]
        logits = member.task.eval()(member.data.network_inputs(own.inputs))
        probabilities.append(logits.softmax(dim=1))

    averaged = whole.task.eval()(whole.data.network_inputs(batch.inputs)).softmax(dim=1)

    torch.testing.assert_close(averaged, torch.stack(probabilities).mean(dim=0))
    assert evaluate(str(digits.path))["test/accuracy"] > 0.3
    assert "val/accuracy" not in evaluate(str(digits.path))


def test_the_ensemble_is_one_checkpoint_without_its_runs(digits, tmp_path):
    shutil.copy(digits.best, tmp_path / "ensemble.ckpt")

    assert evaluate(str(tmp_path / "ensemble.ckpt")) == evaluate(str(digits.path))


@pytest.mark.parametrize(
    "damage",
    [
        lambda members: members.clear(),
        lambda members: members.append(3),
        lambda members: members[1].pop("data"),
        lambda members: members[1]["state_dict"].update({"network.x": "text"}),
        lambda members: members[1]["data"].update(class_names=[1]),
        lambda members: members[1]["data"].update(statistics={}),
    ],
)
def test_a_damaged_member_is_a_user_error(damage, digits, tmp_path):
    checkpoint = load_checkpoint(digits.best)
    damage(checkpoint["leyden"]["members"])
    torch.save(checkpoint, tmp_path / "damaged.ckpt")

    with pytest.raises(UserError, match="is damaged"):
        load_run(str(tmp_path / "damaged.ckpt"))


def test_weights_of_another_shape_are_a_user_error(digits, tmp_path):
    checkpoint = load_checkpoint(digits.best)
    checkpoint["leyden"]["members"][2]["state_dict"].popitem()
    torch.save(checkpoint, tmp_path / "other.ckpt")

    with pytest.raises(UserError, match="do not fit the network"):
        load_run(str(tmp_path / "other.ckpt"))


def test_the_config_of_an_ensemble_is_checked_as_any_other(digits, tmp_path):
    checkpoint = load_checkpoint(digits.best)
    checkpoint["leyden"]["config"]["network"]["_target_"] = "os.system"
    torch.save(checkpoint, tmp_path / "foreign.ckpt")

    with pytest.raises(UserError, match=r"os\.system' is refused"):
        load_run(str(tmp_path / "foreign.ckpt"))


@pytest.mark.slow
def test_numbers_are_averaged_in_their_own_unit(rows, tmp_path):
    folder = cross_validated(tmp_path / "crossval", *numbers(rows))
    lines = lines_of(folder.path / "oof.csv")
    errors = [float(line["value"]) - float(line["target"]) for line in lines]
    by_fold = [
        list(load(str(folder.path / f"fold-{fold}")).predict([str(rows)])) for fold in range(3)
    ]
    mean = np.mean([[row["value"] for row in own] for own in by_fold], axis=0)

    averaged = [row["value"] for row in load(str(folder.path)).predict([str(rows)])]

    assert np.std(errors) < 2
    assert averaged == pytest.approx(mean, rel=0, abs=1e-4)
    assert evaluate(str(folder.path))["test/rmse"] < 2


@pytest.mark.slow
def test_probabilities_of_labels_are_averaged(tmp_path):
    file = tmp_path / "visits.csv"
    states = ["cough;fever", "fever", "", "cough;pain"] * 40
    lines = [f"{row % 4},{row},{state}" for row, state in enumerate(states)]
    file.write_text("\n".join(["kind,visit,state", *lines]))
    words = table_words(file, "data.target=state", "data.label_separator=';'", "task=multilabel")
    folder = cross_validated(tmp_path / "crossval", *words)
    members = [
        list(load(str(folder.path / f"fold-{fold}")).predict([str(file)])) for fold in range(3)
    ]

    averaged = list(load(str(folder.path)).predict([str(file)]))

    for column in ("probability of cough", "probability of fever", "probability of pain"):
        mean = np.mean([[row[column] for row in own] for own in members], axis=0)
        assert [row[column] for row in averaged] == pytest.approx(mean, abs=1e-5)
    lines = lines_of(folder.predictions)
    assert {line["target"] for line in lines} == {"cough;fever", "fever", "", "cough;pain"}
    assert {"labels", "probability of pain"} <= set(lines[0])


def test_a_pipe_is_read_for_every_member(rows, tmp_path):
    folder = cross_validated(tmp_path / "crossval", *numbers(rows), folds=2)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(rows.read_bytes()))
    writer.start()

    from_pipe = list(load(str(folder.path)).predict([str(pipe)]))
    writer.join()

    from_file = list(load(str(folder.path)).predict([str(rows)]))
    assert [row["value"] for row in from_pipe] == [row["value"] for row in from_file]
    assert from_pipe[0]["file"] == from_file[0]["file"].replace(str(rows), str(pipe))


@pytest.mark.slow
def test_groups_stay_in_one_fold(rows, tmp_path):
    folder = cross_validated(tmp_path / "crossval", *numbers(rows, "data.group=owner"))
    folds = {}
    for line in lines_of(folder.path / "oof.csv"):
        owner = int(line["source"].rpartition(" ")[2]) // 4
        folds.setdefault(owner, set()).add(line["fold"])

    assert len(folds) > 20
    assert {len(own) for own in folds.values()} <= {1, 2}


@pytest.mark.slow
def test_folds_of_time_are_tested_on_later_rows(rows, tmp_path):
    folder = cross_validated(tmp_path / "crossval", *numbers(rows, "data.time=day"))
    counts = [int(fold["n_train"]) for fold in lines_of(folder.path / "folds.csv")]

    assert counts == sorted(counts)
    assert len(lines_of(folder.path / "oof.csv")) == 120  # of 160, the oldest 40 are only learned


def test_repeats_of_time_are_refused_before_anything_is_trained(rows, tmp_path):
    with pytest.raises(UserError, match=r"repeat-1-fold-0: .* in one way only"):
        cross_validated(tmp_path / "crossval", *numbers(rows, "data.time=day"), repeats=2)

    assert not list(tmp_path.glob("crossval/fold-*"))


@pytest.mark.slow
def test_repeats_predict_each_row_that_often(rows, tmp_path):
    folder = cross_validated(tmp_path / "crossval", *numbers(rows), folds=2, repeats=2)
    lines = lines_of(folder.path / "oof.csv")
    sources = [[line["source"] for line in lines if line["repeat"] == repeat] for repeat in "01"]
    folds = [[line["fold"] for line in lines if line["repeat"] == repeat] for repeat in "01"]

    assert sources[0] == sources[1]
    assert folds[0] != folds[1]
    assert len(load_checkpoint(folder.best)["leyden"]["members"]) == 4


@pytest.mark.slow
def test_rows_that_are_all_divided_leave_none_to_evaluate(rows, tmp_path):
    words = numbers(rows, "data.splitter.test_fraction=0")
    folder = cross_validated(tmp_path / "crossval", *words, folds=2)

    assert len(lines_of(folder.path / "oof.csv")) == 200
    with pytest.raises(UserError, match="has learned from all rows"):
        evaluate(str(folder.path))
    (tmp_path / "other.csv").write_text("\n".join(rows.read_text().split("\n")[:50]))
    assert "test/rmse" in evaluate(str(folder.path), [f"data.path={tmp_path}/other.csv"])


def test_a_run_without_checkpoints_still_gives_metrics(rows, tmp_path):
    folder = cross_validated(tmp_path / "crossval", *numbers(rows, "callbacks=[]"), folds=2)

    (warning,) = json.loads(folder.status.read_text())["warnings"]
    assert "neither oof.csv nor an ensemble" in warning
    assert "test/rmse" in folder.read_metrics()


def test_a_finished_fold_is_not_trained_again(digits, tmp_path):
    copy = RunFolder(shutil.copytree(digits.path, tmp_path / "crossval"))
    copy.status.write_text('{"state": "interrupted"}')
    (copy.path / "oof.csv").unlink()
    shutil.rmtree(copy.path / "fold-1")
    trained = []

    def train_fold(config, folder):
        trained.append(folder.path.name)
        start(config, folder)

    cross_validated(copy.path, *QUICK, train_fold=train_fold)

    assert trained == ["fold-1"]
    for name in ("oof.csv", "folds.csv", "metrics.json"):
        assert (copy.path / name).read_text() == (digits.path / name).read_text()


def test_a_fold_that_fails_is_recorded(tmp_path):
    def train_fold(config, folder):  # noqa: ARG001
        raise UserError("no room")

    with pytest.raises(UserError, match="no room"):
        cross_validated(tmp_path / "crossval", *QUICK, train_fold=train_fold)

    status = json.loads((tmp_path / "crossval" / "status.json").read_text())
    assert (status["state"], status["error"]) == ("failed", "no room")

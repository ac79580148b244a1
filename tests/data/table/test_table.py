import csv
import io
import json

import pytest


@pytest.fixture
def trained(leyden, tmp_path, visits, write_csv):
    """Train on a table for an epoch, and return the run and its output."""

    def train(*words, **columns):
        path = write_csv(tmp_path / "visits.csv", visits(**columns))
        words = ["data=table", f"data.path={path}", "network=table_mlp", *words]
        done = leyden("train", "trainer.max_epochs=1", "name=visits", *words)
        run = next((tmp_path / "runs" / "visits").glob("*"), None)  # a start may be refused
        return run, done

    return train


def rows_of(done):
    assert done.code == 0, done.err
    return list(csv.DictReader(io.StringIO(done.out)))


def test_a_run_predicts_and_evaluates_from_its_checkpoint(
    leyden, trained, visits, write_csv, tmp_path
):
    run, done = trained("data.target=state", record=range(200))
    assert done.code == 0, done.err
    other = visits(50, record=range(50))
    del other["state"]

    predicted = rows_of(
        leyden("predict", f"run={run}", f"input={write_csv(tmp_path / 'new.csv', other)}")
    )
    evaluated = leyden("evaluate", f"run={run}")

    given = tmp_path / "new.csv"
    assert [row["file"] for row in predicted[:2]] == [f"{given} row 2", f"{given} row 3"]
    assert {row["predicted_state"] for row in predicted} <= {"ill", "well"}
    assert len(predicted) == 50
    metrics = json.loads((run / "metrics.json").read_text())
    assert json.loads(evaluated.out)["test/accuracy"] == pytest.approx(metrics["test/accuracy"])


def test_a_column_that_is_missing_is_named(leyden, trained, write_csv, tmp_path):
    run, _ = trained("data.target=state")
    path = write_csv(tmp_path / "new.csv", {"age": [1], "wards": ["west"], "smokes": ["no"]})

    done = leyden("predict", f"run={run}", f"input={path}")

    assert done.code == 2
    assert "no column 'seen'" in done.err or "no column 'ward'" in done.err


def test_a_class_that_training_never_saw_is_an_error(leyden, trained, visits, write_csv, tmp_path):
    run, _ = trained("data.target=state")
    path = write_csv(tmp_path / "other.csv", visits(state=["ill", "dead"] * 100))

    done = leyden("evaluate", f"run={run}", f"data.path={path}")

    assert done.code == 2
    assert "expected ['ill', 'well'], got ['dead', 'ill']" in done.err


def test_numbers_are_predicted_in_the_unit_of_the_target(leyden, trained, tmp_path):
    run, done = trained("data.target=age", "task=regression", "loss=huber")
    assert done.code == 0, done.err

    values = [
        float(row["predicted_age"])
        for row in rows_of(leyden("predict", f"run={run}", f"input={tmp_path / 'visits.csv'}"))
    ]

    assert 40 < sum(values) / len(values) < 70
    metrics = json.loads((run / "metrics.json").read_text())
    assert 5 < metrics["test/mae"] < 30


def test_labels_are_predicted(leyden, trained, tmp_path):
    symptoms = ["cough|fever", "fever", "", "cough"] * 50
    run, done = trained(
        "data.target=state", "data.label_separator='|'", "task=multilabel", "loss=bce",
        state=symptoms,
    )  # fmt: skip
    assert done.code == 0, done.err

    (first, *_) = rows_of(leyden("predict", f"run={run}", f"input={tmp_path / 'visits.csv'}"))

    assert set(first["predicted_state"].split(";")) <= {"", "cough", "fever"}
    assert 0 < float(first["probability of cough"]) < 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data.target=age", "task=classification"], "task=regression"),
        (["data.target=age", "task=regression", "loss=focal"], "loss=mse"),
        (["data.target=state", "task=regression", "loss=mse"], "task=classification"),
        (["data.target=[smokes,state]"], "holds more than yes and no"),
        (["data.target=stat"], "Did you mean 'state'"),
        (["data.target=state", "+data.columns.ward=categorcal"], "Did you mean 'categorical'"),
    ],
)
def test_options_that_do_not_fit_are_reported(trained, words, message):
    _, done = trained(*words)

    assert done.code == 2
    assert message in done.err


def test_targets_with_a_large_offset_are_learned_and_predicted(leyden, trained, tmp_path):
    ages = [20 + row * 7 % 50 for row in range(200)]
    when = [1_700_000_000 + 10 * age + row * 13 % 40 for row, age in enumerate(ages)]
    run, done = trained(
        "data.target=when", "task=regression", "loss=mse", "optimizer.lr=0.01",
        "trainer.max_epochs=60", age=ages, when=when,
    )  # fmt: skip
    assert done.code == 0, done.err

    values = [
        float(row["predicted_when"])
        for row in rows_of(leyden("predict", f"run={run}", f"input={tmp_path / 'visits.csv'}"))
    ]
    evaluated = json.loads(leyden("evaluate", f"run={run}").out)
    resumed = leyden("train", f"run={run}", "trainer.max_epochs=61")

    errors = [abs(value - second) for value, second in zip(values, when, strict=True)]
    assert sum(errors) / len(errors) < 50
    assert len(set(values)) > 40
    metrics = json.loads((run / "metrics.json").read_text())
    assert resumed.code == 0, resumed.err
    assert evaluated["test/mae"] == pytest.approx(metrics["test/mae"], rel=0.5)
    assert metrics["test/mae"] < 50
    assert metrics["val/mae"] < 50
    assert metrics["test/r2"] > 0.8


def test_rows_are_named_by_the_path_that_was_given(leyden, trained, visits, write_csv, tmp_path):
    run, _ = trained("data.target=state", smokes=[1, 0] * 100)
    paths = [tmp_path / folder / "x.csv" for folder in "pq"]
    for path, smokes in zip(paths, ([1, 0, 1], ["1.0", "0.0", "1.0"]), strict=True):
        path.parent.mkdir()
        write_csv(path, visits(3, smokes=smokes))

    rows = rows_of(leyden("predict", f"run={run}", *(f"input={path}" for path in paths)))

    assert [row.pop("file") for row in rows] == [f"{p} row {n}" for p in paths for n in (2, 3, 4)]
    assert rows[:3] == rows[3:]  # a number in another spelling


def test_a_column_of_cells_that_training_never_saw_is_refused(
    leyden, trained, visits, write_csv, tmp_path
):
    run, _ = trained("data.target=state")
    path = write_csv(tmp_path / "new.csv", visits(3, ward=["attic"] * 3))

    done = leyden("predict", f"run={run}", f"input={path}")

    assert done.code == 2
    assert done.out == ""
    assert "expected 'north', 'south', 'west', got 'attic'" in done.err


def test_overrides_may_hold_any_names_and_separators(leyden, tmp_path):
    lines = [f"{row % 37}\t{row % 3}\t{row * 7 % 11}" for row in range(120)]
    (tmp_path / "a.csv").write_text("\n".join(["0, 3\t3\tGröße", *lines]))
    words = ["data=table", f"data.path={tmp_path / 'a.csv'}", "network=table_mlp", "name=named"]

    done = leyden(
        "train", *words, "data.target=3", r"data.separator='\t'", "+data.columns.column_3=ignored",
        "+data.columns={0\\, 3:categorical}", "trainer.max_epochs=1",
    )  # fmt: skip

    assert done.code == 0, done.err
    assert "columns: categorical: 0, 3; ignored: Größe" in (done.out + done.err)


def test_another_table_is_read_as_in_training(leyden, trained, visits, write_csv, tmp_path):
    run, done = trained("data.target=state")
    assert done.code == 0, done.err
    # Alone, these cells would be of other kinds.
    other = visits(12, age=["NA"] * 11 + [30], smokes=["yes"] * 12, state=["ill"] * 12)
    path = write_csv(tmp_path / "other.csv", other)

    evaluated = leyden("evaluate", f"run={run}", f"data.path={path}")
    predicted = rows_of(leyden("predict", f"run={run}", f"input={path}"))

    assert evaluated.code == 0, evaluated.err
    right = [row["predicted_state"] == "ill" for row in predicted]
    measured = json.loads(evaluated.out[evaluated.out.index("{") :])  # after what training logs
    assert measured["test/accuracy"] == pytest.approx(sum(right) / 12)

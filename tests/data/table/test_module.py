import gzip
import json
import math
import shlex

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from leyden.batch import as_tensors
from leyden.config.compose import compose
from leyden.data.splits import KFold
from leyden.data.table.cleaning import TableCleaning
from leyden.data.table.table import Table
from leyden.errors import UserError


def kinds(data):
    return {column["name"]: column["kind"] for column in data.cached.facts["columns"]}


def used(data):
    return {column["name"] for column in data.statistics["columns"]}


def found(data, step):
    """Return the number of findings of a step, and the reasons by column or row."""
    report = data.cleaning_report().steps[step]
    return report.found, {item["source"]: item["reason"] for item in report.findings}


def test_kinds_of_columns_are_inferred(table):
    data = table()

    assert kinds(data) == {
        "age": "numeric",
        "ward": "categorical",
        "smokes": "boolean",
        "seen": "date",
    }
    assert data.spec.class_names == ("ill", "well")
    assert data.spec.network_sizes == {
        "num_numbers": 3 + 6,  # a date has six phases beside its number
        "cardinalities": [1 + 3],
        "num_outputs": 2,
    }


def test_kinds_can_be_declared(table, visits):
    columns = visits(seen=[f"{1 + row % 28:02}/06/2024" for row in range(200)])

    data = table(
        columns, columns={"age": "categorical", "smokes": "ignored", "seen": "date:%d/%m/%Y"}
    )

    assert kinds(data)["age"] == "categorical"
    assert kinds(data)["seen"] == "date"
    assert "smokes" not in used(data)


def test_networks_get_complete_and_scaled_features(table, visits, inputs_of):
    age = [None if row % 7 == 0 else row for row in range(200)]
    data = table(visits(age=age), columns={"seen": "ignored", "smokes": "ignored"})

    inputs = inputs_of(data)

    numbers = inputs["numbers"]  # age, and whether it is missing
    assert numbers.shape == (len(data.row_numbers("train")), 2)
    assert numbers.dtype == torch.float32
    assert numbers[:, 0].mean() == pytest.approx(0, abs=1e-5)
    assert numbers[:, 0].std(correction=0) == pytest.approx(1, abs=1e-4)
    assert numbers[:, 1].tolist() == [row % 7 == 0 for row in data.row_numbers("train")]
    assert inputs["categories"].dtype == torch.int64
    assert set(inputs["categories"].flatten().tolist()) == {1, 2, 3}


def test_only_training_rows_are_fitted(table, visits):
    first = table(visits(record=range(200)), group="record")  # which the split goes by
    changed = visits(record=range(200))
    for row in first.row_numbers("test"):
        changed["age"][row] = 10_000 + int(row)
        changed["ward"][row] = f"ward {row}"
    second = table(changed, columns={"age": "numeric", "ward": "categorical"}, group="record")

    assert second.row_numbers("test").tolist() == first.row_numbers("test").tolist()
    assert second.statistics["values"] == first.statistics["values"]
    for name in ("centres", "low", "high", "mean", "std", "phases"):
        one, other = (data.statistics["numbers"][name] for data in (first, second))
        assert torch.equal(one, other), name


def test_a_value_that_training_never_saw_is_unknown_and_counted(table, visits, inputs_of):
    columns = visits(record=range(200))
    for row in table(columns, group="record").row_numbers("test")[:5]:
        columns["ward"][row] = "attic"

    data = table(columns, group="record")

    assert inputs_of(data, "test")["categories"][:6, 0].tolist()[:5] == [0] * 5
    assert found(data, "unknown_values")[0] == 5


def test_large_numbers_keep_their_differences(table, visits, inputs_of):
    stamps = [1_700_000_000_000 + row for row in range(200)]
    data = table(visits(age=stamps), columns={"seen": "ignored", "age": "numeric"})

    scaled = inputs_of(data)["numbers"][:, 0].double().numpy()

    rows = data.row_numbers("train").astype(float)
    assert np.allclose(scaled, (rows - rows.mean()) / rows.std(), atol=1e-4)


def test_impossible_values_count_as_missing(table, visits, inputs_of):
    columns = visits()
    columns["age"][3] = 1048.36

    data = table(columns)

    count, reasons = found(data, "outliers")
    assert count == 1
    assert "1048.36 in visits.csv row 5" in reasons["column age"]
    assert inputs_of(data)["numbers"].abs().max() < 10
    off = table(columns, cleaning=TableCleaning(outliers=False))
    assert not off.cleaning_report().steps["outliers"].enabled
    assert math.isinf(off.statistics["numbers"]["high"][0])


def test_useless_and_leaking_columns_are_left_out(table, visits):
    columns = visits()
    columns |= {
        "hospital": ["St. Mary"] * 200,
        "years": columns["age"],
        "patient": [f"patient {row}" for row in range(200)],
        "score": [row % 9 + (state == "ill") * 20 for row, state in enumerate(columns["state"])],
        "ticket": ["red" if state == "ill" else "blue" for state in columns["state"]],
    }

    data = table(columns)

    assert used(data) == {"age", "ward", "smokes", "seen"}
    assert found(data, "constant_columns")[1].keys() == {"column hospital"}
    assert found(data, "duplicate_columns")[1] == {"column years": "the same as age"}
    assert found(data, "identifier_columns")[1].keys() == {"column patient"}
    assert found(data, "leaking_columns")[1].keys() == {"column score", "column ticket"}
    steps = TableCleaning(leaking_columns=False, duplicate_columns=False)
    assert used(table(columns, cleaning=steps)) >= {"score", "ticket", "years"}


def test_a_column_repeats_only_one_that_is_an_input(table, visits):
    columns = visits()
    columns |= {
        "name": [f"patient {row}" for row in range(200)],
        "ticket": [f"ticket {row}" for row in range(200)],
    }

    data = table(columns, columns={"ticket": "categorical"})

    assert "ticket" in used(data)
    assert found(data, "identifier_columns")[1].keys() == {"column name"}
    assert found(table(columns), "identifier_columns")[0] == 2


def test_only_the_first_column_without_a_name_is_an_index(table, visits):
    columns = {"": range(7, 207)} | visits()
    columns[" "] = ["p" if row % 3 else "q" for row in range(200)]

    data = table(columns)

    assert "unnamed_7" in used(data)
    assert found(data, "identifier_columns")[1].keys() == {"column unnamed_1"}


def test_equal_rows_are_dropped_only_with_equal_targets(table):
    columns = {"age": [*range(40), *range(20)] * 2, "state": ["ill", "ill", "well"] * 40}

    assert len(table(columns).cached.kept) == 120  # equal rows are observations
    data = table(columns, cleaning=TableCleaning(duplicates=True, max_dropped=1.0))

    assert len(data.cached.kept) == len(set(zip(columns["age"], columns["state"], strict=True)))


@pytest.mark.parametrize("role", ["group", "time"])
def test_equal_rows_of_other_groups_or_times_are_never_dropped(table, role):
    columns = {"age": [*range(40)] * 2, "state": ["ill", "well"] * 40, "visit": [*range(80)]}
    cleaning = TableCleaning(duplicates=True)

    assert len(table(columns, cleaning=cleaning, **{role: "visit"}).cached.kept) == 80


def test_words_among_numbers_are_counted_or_refused(table, visits):
    columns = visits()
    columns["age"][:3] = ["unknown", "unknown", "inf"]

    assert found(table(columns), "misfits") == (
        3,
        {"column age": "3 cells of another kind, such as 'unknown'"},
    )
    with pytest.raises(UserError, match="3 cells of the numeric column 'age' are of another"):
        table(columns, cleaning=TableCleaning(misfits=False))


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("", "no value of state"),
        ("NA", "'NA' in state counts as missing, see data.missing_cells"),
        (" nan ", "'nan' in state counts as missing, see data.missing_cells"),
    ],
)
def test_rows_without_a_target_are_counted_or_refused(table, visits, missing, reason):
    columns = visits()
    columns["state"][:4] = [missing] * 4

    data = table(columns)

    assert len(data.cached.kept) == 196
    assert found(data, "missing_target")[1]["visits.csv row 2"] == reason
    with pytest.raises(UserError, match=rf"visits\.csv row 2: {reason}"):
        table(columns, cleaning=TableCleaning(missing_target=False))


def test_a_target_of_numbers_is_a_regression_target(table, visits):
    data = table(visits(), target="age", columns={"state": "categorical"})

    assert data.spec.class_names == ()
    assert data.spec.network_sizes["num_outputs"] == 1
    ages = np.array(visits()["age"])[data.row_numbers("train")]
    assert data.spec.targets["kind"] == "number"
    assert data.spec.targets["centre"] == pytest.approx(ages.mean())
    assert data.spec.targets["std"] == pytest.approx(ages.std())


def test_infinite_numbers_and_words_are_not_targets(table, visits):
    columns = visits()
    columns["age"][:3] = ["inf", "old", None]

    data = table(columns, target="age")

    assert len(data.cached.kept) == 197
    assert np.isfinite(data.cached.targets).all()


def test_the_type_of_a_target_can_be_given(table, visits):
    columns = visits(state=[row % 5 for row in range(200)])

    assert table(columns).spec.class_names == ("0", "1", "2", "3", "4")
    assert table(columns, target_type="number").spec.targets["kind"] == "number"
    with pytest.raises(UserError, match="holds no number"):
        table(visits(), target_type="number")


def test_groups_stay_together_and_are_not_inputs(table, visits):
    columns = visits(patient=[f"patient {row // 4}" for row in range(200)])

    data = table(columns, group="patient")

    assert "patient" not in kinds(data)
    groups = [{row // 4 for row in data.row_numbers(split)} for split in ("train", "val", "test")]
    assert not groups[0] & groups[1]
    assert not groups[2] & (groups[0] | groups[1])


def test_a_row_without_a_group_is_left_out_and_listed(table, visits):
    columns = visits(patient=["", *(f"patient {row // 4}" for row in range(1, 200))])

    data = table(columns, group="patient")

    reason = "no value of patient"
    assert found(data, "missing_target")[1] == {"visits.csv row 2": reason}
    assert len(data.cached.kept) == 199


def test_the_latest_rows_are_the_test_split(table, visits):
    seen = [f"2024-{1 + (row * 7) % 12:02}-{1 + (row * 5) % 28:02}" for row in range(200)]

    data = table(visits(seen=seen), time="seen")

    train, val, test = (
        sorted(seen[row] for row in data.row_numbers(p)) for p in ("train", "val", "test")
    )
    assert train[-1] < val[0] <= val[-1] < test[0]
    assert 25 <= len(test) <= 50
    assert "seen" not in kinds(data)
    kept = table(visits(seen=seen), time="seen", columns={"seen": "date"})
    assert kinds(kept)["seen"] == "date"


def test_time_may_be_in_another_format(table, visits):
    seen = [f"{1 + row % 28:02}/{1 + row // 28:02}/2024" for row in range(200)]

    data = table(visits(seen=seen), time="seen", columns={"seen": "date:%d/%m/%Y"})

    assert data.row_numbers("test").min() > data.row_numbers("train").max()
    with pytest.raises(UserError, match=r"data\.time=seen .* categorical.*date:FORM"):
        table(visits(seen=seen), time="seen")


def test_folds_of_time_never_learn_from_later_rows(table, visits):
    days = [row // 2 for row in range(200)]

    for fold in range(4):
        splitter = KFold(folds=4, fold=fold, test_fraction=0)
        data = table(visits(day=days), time="day", splitter=splitter)
        assert max(data.row_numbers("train")) < min(data.row_numbers("val"))
        assert max(data.row_numbers("val")) < min(data.row_numbers("test"))
        assert len(data.row_numbers("test")) == 40


def test_several_labels_in_one_cell(table, visits):
    cells = ["cough; fever", "fever", "", "cough ; pain;"] * 50
    data = table(visits(state=cells), label_separator=";")

    assert data.spec.class_names == ("cough", "fever", "pain")
    assert data.cached.targets[:4].tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1]]
    assert data.spec.targets["kind"] == "labels"


def test_several_label_columns(table, visits):
    columns = visits(cough=["yes", "no"] * 100, fever=[1, 1, 0, 0] * 50)

    data = table(columns, target=["cough", "fever"])

    assert data.spec.class_names == ("cough", "fever")
    assert data.cached.targets[:4].tolist() == [[1, 1], [0, 1], [1, 0], [0, 0]]
    with pytest.raises(UserError, match="'age' holds more than yes and no"):
        table(columns, target=["cough", "age"])


def test_a_missing_column_is_named_with_the_nearest(table):
    for wrong in ({"target": "stat"}, {"group": "stat"}, {"columns": {"stat": "numeric"}}):
        with pytest.raises(UserError, match=r"'stat', which the table does not have.*'state'"):
            table(**wrong)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": [], "state": []}, r"no row that can be read\. It is empty"),
        ({"age": [1, 2, 3], "state": ["", "NA", ""]}, "no cell that is not missing"),
        ({"age": range(50), "state": ["ill"] * 50}, "Every row has the target 'ill'"),
        (
            {"age": [1] * 50, "id": [f"p{n}" for n in range(50)], "state": ["ill", "well"] * 25},
            "No column is left",
        ),
        (
            {"age": [1, 2] * 5, "state": ["ill", "well"] * 5},
            "Equal rows stay together, and only 2 are distinct",
        ),
        ({"state": ["ill", "well"] * 25}, "no row|No column|No row"),
    ],
)
def test_hopeless_tables_are_refused(table, columns, message):
    with pytest.raises(UserError, match=message):
        table(columns)


def test_a_class_of_one_row_is_learned_but_not_tested(table, visits):
    columns = visits()
    columns["state"][7] = "odd"

    data = table(columns)

    assert 7 in data.row_numbers("train")
    assert "odd" in data.spec.class_names


def test_scaling_by_quantiles(table, visits, inputs_of):
    random = np.random.default_rng(0)
    columns = visits(age=random.lognormal(0, 3, 200).tolist())

    numbers = inputs_of(table(columns, scaling="quantile"))["numbers"]

    assert numbers[:, 0].abs().quantile(0.98) < 2.6
    assert numbers[:, 0].std() == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("ending", ["csv.gz", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(table, visits, tmp_path, ending):
    expected = table()
    columns, path = visits(), tmp_path / f"other.{ending}"
    rows = list(zip(*columns.values(), strict=True))
    if ending == "parquet":
        import pyarrow as pa
        import pyarrow.parquet

        pyarrow.parquet.write_table(pa.table(columns), path)
    elif ending == "jsonl":
        lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]
        path.write_text("\n".join(lines))
    else:
        tab = "," if ending == "csv.gz" else "\t"
        text = "\n".join(tab.join(map(str, row)) for row in [columns, *rows]).encode()
        path.write_bytes(gzip.compress(text) if ending == "csv.gz" else text)

    data = table(path=str(path))

    assert np.array_equal(data.cached.arrays["numbers"], expected.cached.arrays["numbers"])
    assert data.cached.fingerprint == expected.cached.fingerprint


def test_other_settings_are_cached_apart(table):
    folders = {
        table(**options).cached.path
        for options in (
            {},
            {"columns": {"age": "categorical"}},
            {"group": "seen"},
            {"target": "ward"},
            {"cleaning": TableCleaning(outliers=False)},
        )
    }

    assert len(folders) == 5


def test_a_checkpoint_is_enough_to_read_inputs(table, visits, tmp_path, write_csv):
    data = table()
    torch.save(data.state_dict(), tmp_path / "state.pt")
    columns = visits(40)
    some = {name: columns[name] for name in ("ward", "seen", "smokes", "age")}
    path = write_csv(tmp_path / "new.csv", some)

    other = Table(name="visits", path="gone.csv", target="state")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    (inputs,) = other.reader().read([str(path)])

    assert inputs.names[:2] == [f"{path} row 2", f"{path} row 3"]
    expected = data.dataset(data.cached)[(0, torch.arange(40))].inputs
    columns_of_training = write_csv(tmp_path / "same.csv", visits())
    (again,) = other.reader().read([str(columns_of_training)])
    same = other.raw_fields(as_tensors(again.fields))
    torch.testing.assert_close(same["numbers"][:40], expected["numbers"])
    assert torch.equal(same["categories"][:40], expected["categories"])
    raw = other.raw_fields(as_tensors(inputs.fields))
    assert other.network_inputs(raw)["numbers"].isfinite().all()


def test_bad_files_to_predict_on(table, visits, tmp_path, write_csv, caplog):
    data = table()
    columns = visits(3)
    lacking = write_csv(tmp_path / "lacking.csv", {"agee": columns["age"]})
    with pytest.raises(UserError, match=r"no column 'age'.*agee"):
        list(data.reader().read([str(lacking)]))
    with pytest.raises(UserError, match="no row"):
        list(data.reader().read([str(write_csv(tmp_path / "none.csv", visits(0)))]))

    odd = visits(3, age=["old", 5, 6], ward=["attic", "north", "attic"])
    (inputs,) = data.reader().read([str(write_csv(tmp_path / "odd.csv", odd))])
    raw = inputs.fields

    assert np.isnan(raw["numbers"][0, 0])
    assert raw["categories"][:, 0].tolist() == [0, 1, 0]
    assert "1 cells of age count as missing, such as 'old'" in caplog.text
    assert "2 cells of ward were never seen in training" in caplog.text


def test_points_between_thousands_read_as_decimals_are_a_warning(table, visits, caplog):
    columns = visits(income=["1.500", "900", "2.300", "12.750"] * 50)

    table(columns, decimal=",")

    assert "income looks like numbers with '.' between the thousands, such as '1.5" in caplog.text
    assert "'data.thousands=\".\"'" in caplog.text


def test_a_declared_kind_that_fits_no_cell_is_refused(table):
    with pytest.raises(UserError, match=r"column ward is known: expected dates.*=categorical"):
        table(columns={"ward": "date"})


@pytest.mark.parametrize("group", ["state", "column_5"])
def test_the_target_cannot_be_the_group(table, group):
    with pytest.raises(UserError, match=r"data\.group=state is the target"):
        table(group=group)


def test_words_for_truth_in_a_column_of_0_and_1_are_refused_with_the_kind_that_fits(
    table, visits, tmp_path, write_csv
):
    columns = visits(coughs=[0, 1, 1, 0] * 50)
    path = write_csv(tmp_path / "new.csv", visits(2, coughs=["True", "False"]))

    with pytest.raises(UserError, match=r"expected numbers, got 'True'.*coughs=boolean"):
        list(table(columns).reader().read([str(path)]))

    (inputs,) = table(columns, columns={"coughs": "boolean"}).reader().read([str(path)])
    assert np.isfinite(inputs.fields["numbers"]).all()


def test_evaluation_reads_tables_like_prediction(table, visits, tmp_path, write_csv, caplog):
    def measure(**columns):
        path = write_csv(tmp_path / "other.csv", visits(4, **columns))
        other = Table(name="other", path=str(path), target="state")
        other.load_state_dict(trained)
        other.tests_all_rows = True
        other.prepare_data()
        other.setup()
        return other.test_dataloader()

    trained = table().state_dict()

    measure(ward=["attic", "north", "north", "west"], smokes=["No", "TRUE", "1.0", "maybe"])

    assert "1 values of ward were never seen in training, such as 'attic'" in caplog.text
    assert "1 cells of smokes count as missing, such as 'maybe'" in caplog.text
    with pytest.raises(UserError, match="ward is known: expected 'north', 'south', 'west', got 'a"):
        measure(ward=["attic", "b", "c", "d"])
    with pytest.raises(UserError, match="smokes is known: expected yes and no, got 'maybe'"):
        measure(smokes=["maybe"] * 4)


def test_impossible_values_to_predict_on_are_a_warning(table, visits, tmp_path, write_csv, caplog):
    data = table(visits(coughs=[0, 0, 0, 1] * 50))
    odd = visits(4, age=[30, 1e9, 30, 30], coughs=[0, 0, 5000, 1e300])

    (inputs,) = data.reader().read([str(write_csv(tmp_path / "odd.csv", odd))])
    raw = inputs.fields

    numbers = data.network_inputs(data.raw_fields(as_tensors(raw)))["numbers"]
    assert numbers.isfinite().all()
    assert numbers.abs().max() < 10
    assert "1 cells of age are outside" in caplog.text
    assert "count as missing, such as 1e+09" in caplog.text
    assert "1 cells of coughs are outside" in caplog.text
    assert "1 cells of coughs count as missing, such as '1e+300'" in caplog.text


def test_possible_values_to_predict_on_are_not_a_warning(table, caplog):
    data = table()

    list(data.reader().read([str(data.file.path)]))

    assert caplog.messages == []


def test_ignored_columns_make_no_row_unreadable(table, visits, tmp_path, write_csv):
    path = write_csv(tmp_path / "notes.csv", visits(note=["Grüße"] * 100 + ["x"] * 100))
    path.write_bytes(path.read_text().encode("latin-1"))

    data = table(path=str(path), columns={"note": "ignored"})

    assert len(data.cached.kept) == 200


def test_other_data_must_fit_the_checkpoint(table, visits):
    state = table().state_dict()

    def loaded(columns):
        path = table(columns).file.path
        other = Table(name="visits", path=str(path), target="state")
        other.load_state_dict(state)
        other.prepare_data()
        other.setup()
        return other

    assert set(loaded(visits(100)).cached.targets) == {0, 1}
    with pytest.raises(UserError, match=r"expected \['ill', 'well'\], got \['ill', 'odd'\]"):
        loaded(visits(100, state=["ill", "odd"] * 50))
    bits = loaded(visits(100, smokes=["1.0", "0"] * 50))
    words = loaded(visits(100, smokes=["Y", "N"] * 50))
    one, other = (data.dataset(data.cached)[0, torch.arange(9)].inputs for data in (bits, words))
    torch.testing.assert_close(one, other)
    bits = loaded(visits(100, smokes=["1.0", "0"] * 50))
    words = loaded(visits(100, smokes=["Y", "N"] * 50))
    one, other = (data.dataset(data.cached)[0, torch.arange(9)].inputs for data in (bits, words))
    torch.testing.assert_close(one, other)
    with pytest.raises(UserError, match="'age' was numeric in training, and is categorical here"):
        loaded(visits(100, age=["old", "young"] * 50)).val_dataloader()


def warnings_of(caplog):
    warnings = [record.message for record in caplog.records if record.levelname == "WARNING"]
    return [message for message in warnings if not message.startswith("cleaning: ")]


def test_a_column_that_almost_parses_is_reported_in_every_run(table, visits, caplog):
    columns = visits(age=[f"{row % 60},5" for row in range(200)])
    hint = (
        "The column age looks like numbers with a decimal comma, but is read as categories. To "
        "parse it: 'data.decimal=\",\"'"
    )

    table(columns)
    assert warnings_of(caplog).count(hint) == 1
    caplog.clear()
    table(columns)  # cached
    assert hint in warnings_of(caplog)

    data = table(columns, decimal=",")
    assert kinds(data)["age"] == "numeric"
    caplog.clear()
    table(columns, columns={"age": "categorical"})
    assert warnings_of(caplog) == []
    assert data.cached.arrays["numbers"][3, 0] == 3.5


def test_a_target_that_looks_like_numbers_is_not_silently_learned_as_classes(table, visits):
    columns = visits(age=[f"{row % 25},5" for row in range(200)])

    with pytest.raises(UserError, match="target age looks like numbers with a decimal comma"):
        table(columns, target="age")
    assert table(columns, target="age", decimal=",").cached.targets[7] == 7.5
    classes = table(columns, target="age", target_type="class").class_names
    assert classes is not None
    assert "7,5" in classes


@pytest.mark.parametrize("words", [["yes", "no", "yes", "no"] * 12 + ["?"] * 2, ["1", "2", "-"]])
def test_a_target_of_few_values_may_look_like_another_kind(table, visits, words, caplog):
    columns = visits(state=[words[row % len(words)] for row in range(200)], age=range(0, 2000, 10))

    assert table(columns, missing_cells=[]).class_names == tuple(sorted({*words}))
    assert warnings_of(caplog) == []


def test_the_declared_kind_of_the_target_decides_its_type(table, visits):
    columns = visits(state=[f"{row}%" for row in range(200)])

    data = table(columns, columns={"state": "numeric:%"})
    assert data.cached.targets[:3].tolist() == [0, 1, 2]
    assert table(visits(), target="age", columns={"age": "categorical"}).class_names
    days = table(visits(), target="seen")
    assert days.spec.targets["kind"] == "number"


def test_columns_that_are_left_out_are_named_in_every_run(table, visits, caplog):
    caplog.set_level("INFO")
    columns = visits(hospital=["St. Mary"] * 200, number=range(200), empty=[""] * 200)
    for _ in range(2):
        caplog.clear()
        table(columns, columns={"smokes": "ignored"})
        assert set(warnings_of(caplog)) == {
            "The column empty is left out: it has no value",
            "The column hospital is left out: the same in every training row",
            "The column number is left out: it numbers the rows; to learn from it: "
            "++data.columns.number=numeric",
        }
        assert "columns: numeric: age, number; categorical: ward, hospital" in caplog.text
    assert "number" in used(table(columns, columns={"number": "numeric"}))


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "__index_level_0__"])
def test_an_index_that_was_written_with_the_table_is_not_an_input(table, visits, name):
    index = {name: [row % 50 for row in range(200)]}  # of four tables that were joined

    assert len(used(table(index | visits()))) == 4


def test_values_that_are_equal_are_one_category(table, visits):
    ward = ["1", "1.0", "2", "TRUE", "true"] * 40
    answer = ["yes", "Y", "no", "N", "No"] * 40
    status = ["Y", "N", "T", "N", "Y"] * 40

    data = table(visits(ward=ward, smokes=answer, status=status), columns={"ward": "categorical"})

    assert data.statistics["values"]["ward"] == ["1", "2", "true"]
    assert data.statistics["values"]["smokes"] == ["n", "y"]
    assert data.statistics["values"]["status"] == ["N", "T", "Y"]


def test_labels_that_are_equal_are_one(table, visits):
    data = table(visits(state=["1;2", "2.0", "1.0;3", ""] * 50), label_separator=";")

    assert data.spec.class_names == ("1", "2", "3")
    assert data.cached.targets[:3].tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 1]]


def test_label_columns_may_be_floats(table, visits):
    columns = visits(cough=["1.0", "0.0"] * 100, fever=["True", "FALSE"] * 100)

    assert table(columns, target=["cough", "fever"]).cached.targets[:2].tolist() == [[1, 1], [0, 0]]


def test_a_word_that_drops_many_rows_is_a_warning(table, visits, caplog):
    columns = visits(state=["None", "ill", "well", "well"] * 50)

    table(columns)

    (warning,) = warnings_of(caplog)
    assert warning.startswith("50 of 200 rows are left out because 'None' in state counts as")
    (option,) = shlex.split(warning.split("as a value: ")[1])
    words = compose(["data=table", "data.path=a.csv", "data.target=y", option])["data"]
    assert table(columns, missing_cells=words["missing_cells"]).class_names == (
        "None",
        "ill",
        "well",
    )


def test_outliers_of_the_target_are_reported_and_kept(table, visits, caplog):
    columns = visits()
    columns["age"][3] = 1e12

    data = table(columns, target="age")

    assert len(data.cached.kept) == 200
    (warning,) = warnings_of(caplog)
    assert "(kept), such as 1e+12 in visits.csv row 5" in warning
    assert found(data, "outliers")[1].keys() == {"column target"}


def test_targets_keep_their_digits(table, visits):
    seconds = [1_700_000_000 + row * 7 % 300 for row in range(200)]

    data = table(visits(when=seconds), target="when")

    assert data.cached.targets.tolist() == seconds
    batch = next(iter(data.val_dataloader()))
    assert batch.targets.dtype == torch.float32
    expected = np.array(seconds)[batch.rows] - data.spec.targets["centre"]
    np.testing.assert_allclose(batch.targets, expected, atol=1e-4)
    assert data.spec.targets["mean"] == 0


def test_unreadable_rows_are_a_warning(table, visits, tmp_path, write_csv, caplog):
    path = write_csv(tmp_path / "latin.csv", visits(ward=["nörd", "south", "west", "east"] * 50))
    path.write_bytes(path.read_text().encode("cp1252"))

    table(path=str(path))

    (warning,) = warnings_of(caplog)
    assert warning.startswith("50 of 200 rows cannot be read, such as latin.csv row 2: ward is not")
    assert warning.endswith("data.encoding=cp1252")
    assert len(table(path=str(path), encoding="cp1252").cached.kept) == 200


def test_a_table_may_have_no_header(table, tmp_path):
    lines = [f"{row % 37},{'ab'[row % 2]},{row % 3}" for row in range(99)]
    (tmp_path / "bare.csv").write_text("\n".join(["# measured at noon", *lines]))

    data = table(path=str(tmp_path / "bare.csv"), header=False, comment="#", target="column_3")

    assert used(data) == {"column_1", "column_2"}
    assert data.class_names == ("0", "1", "2")


def test_roles_are_found_by_names_that_overrides_can_hold(table, visits):
    columns = {str(place): cells for place, cells in enumerate(visits().values())}

    data = table(columns, target=4, group=0, columns={1: "categorical", "column_4": "ignored"})

    assert kinds(data) == {"1": "categorical", "2": "boolean", "3": "ignored"}


def test_equal_rows_have_equal_keys_whatever_their_order(table, visits):
    columns = visits(60)
    columns |= {name: [*cells, *cells[:2]] for name, cells in columns.items()}
    reading = table(columns).read()

    keys = np.concatenate([rows.keys for rows in reading if rows.keys is not None])

    assert keys[-2:].tolist() == keys[:2].tolist()
    assert len(set(keys.tolist())) == 60


def test_a_column_of_unknown_cells_is_refused(table, visits, tmp_path, write_csv):
    data = table()

    def read(**columns):
        return list(
            data.reader().read([str(write_csv(tmp_path / "new.csv", visits(3, **columns)))])
        )

    with pytest.raises(UserError, match=r"column ward is known: expected 'north', .*, got 'attic'"):
        read(ward=["attic", "attic", ""])
    with pytest.raises(UserError, match="column age is known: expected numbers, got 'old'"):
        read(age=["old"] * 3)
    (inputs,) = read(ward=["", "", ""], smokes=["1.0", "0", "Y"])
    assert inputs.fields["categories"].tolist() == [[0]] * 3
    assert inputs.fields["numbers"][:, 1].tolist()[0] > inputs.fields["numbers"][1, 1]


def split_of_each(data):
    return {
        row: split for split in ("train", "val", "test") for row in data.row_numbers(split).tolist()
    }


def test_equal_rows_share_a_split_and_a_new_row_moves_none(table, visits):
    columns = visits()
    repeated = {name: [*cells, *cells[:60]] for name, cells in columns.items()}

    before, after = split_of_each(table(columns)), split_of_each(table(repeated))

    assert all(after[row] == before[row] for row in range(200))
    assert all(after[200 + row] == after[row] for row in range(60))


def test_rows_of_few_categories_are_observations(table):
    random = np.random.default_rng(0)
    plan = random.integers(0, 3, 600)
    columns = {"plan": plan.tolist(), "state": np.where(plan == 1, "ill", "well").tolist()}
    options = {"columns": {"plan": "categorical"}, "cleaning": TableCleaning(leaking_columns=False)}

    data = table(columns, **options)

    assert len(data.row_numbers("test")) == pytest.approx(120, abs=30)
    assert set(plan[data.row_numbers("test")]) == set(plan[data.row_numbers("val")]) == {0, 1, 2}


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_separators_are_those_of_text_and_not_of_numbers_that_a_format_knows(
    table, visits, tmp_path, suffix
):
    columns = visits(age=[1000 + row / 8 for row in range(200)])
    path = tmp_path / f"visits.{suffix}"
    if suffix == "parquet":
        pyarrow.parquet.write_table(pa.table(columns), path)
    else:
        rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
        path.write_text("\n".join(map(json.dumps, rows)))

    data = table(path=str(path), decimal=",", thousands=".")

    assert data.cached.arrays["numbers"][:3, 0].tolist() == [1000.0, 1000.125, 1000.25]


def test_an_index_and_the_order_of_columns_do_not_affect_splits(table, visits):
    columns = {"": range(200), **visits()}
    new = {name: [cells[7], *cells] for name, cells in visits().items()}
    later = {**dict(reversed(new.items())), "": range(201)}
    later = {"": later.pop(""), **later}

    before, after = split_of_each(table(columns)), split_of_each(table(later))

    assert all(after[row + 1] == before[row] for row in range(200))


@pytest.mark.parametrize("columns", ["x", [], [{"name": "age"}], [3]])
def test_sizes_of_columns_that_were_not_fitted_are_refused(table, columns):
    data = table()
    data.statistics = data.statistics | {"columns": columns}

    with pytest.raises((TypeError, ValueError)):
        data.network_sizes()

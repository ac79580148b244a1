import gzip
import json
import math

import numpy as np
import pytest
import torch

from leyden.data.splits import KFold
from leyden.data.table.cleaning import TableCleaning
from leyden.data.table.file import Table
from leyden.errors import UserError


def kinds(data):
    return {column["name"]: column["kind"] for column in data.cached.facts["columns"]}


def used(data):
    return {column["name"] for column in data.statistics["columns"]}


def found(data, step):
    """Give how many a step found, and the reasons by column or row."""
    report = data.cleaning_report().steps[step]
    return report.found, {item["source"]: item["reason"] for item in report.findings}


def test_columns_are_told_apart(table):
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
    assert numbers.shape == (len(data.part("train")), 2)
    assert numbers.dtype == torch.float32
    assert numbers[:, 0].mean() == pytest.approx(0, abs=1e-5)
    assert numbers[:, 0].std(correction=0) == pytest.approx(1, abs=1e-4)
    assert numbers[:, 1].tolist() == [row % 7 == 0 for row in data.part("train")]
    assert inputs["categories"].dtype == torch.int64
    assert set(inputs["categories"].flatten().tolist()) == {1, 2, 3}


def test_only_training_rows_are_looked_at(table, visits):
    first = table()
    changed = visits()
    for row in first.part("test"):
        changed["age"][row] = 10_000 + int(row)
        changed["ward"][row] = f"ward {row}"
    second = table(changed, columns={"age": "numeric", "ward": "categorical"})

    assert second.part("test").tolist() == first.part("test").tolist()
    assert second.statistics["values"] == first.statistics["values"]
    for name in ("centres", "low", "high", "mean", "std", "phases"):
        one, other = (data.statistics["numbers"][name] for data in (first, second))
        assert torch.equal(one, other), name


def test_a_value_that_training_never_saw_is_unknown_and_counted(table, visits, inputs_of):
    columns = visits()
    test = table().part("test")
    for row in test[:5]:
        columns["ward"][row] = "attic"

    data = table(columns)

    assert inputs_of(data, "test")["categories"][:6, 0].tolist()[:5] == [0] * 5
    assert found(data, "unknown_values")[0] == 5


def test_large_numbers_keep_their_differences(table, visits, inputs_of):
    stamps = [1_700_000_000_000 + row for row in range(200)]
    data = table(visits(age=stamps), columns={"seen": "ignored"}, cleaning=TableCleaning())

    scaled = inputs_of(data)["numbers"][:, 0].double().numpy()

    rows = data.part("train").astype(float)
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


def test_columns_that_teach_nothing_or_too_much_are_left_out(table, visits):
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


def test_equal_rows_are_dropped_only_with_equal_targets(table):
    columns = {"age": [*range(40), *range(20)] * 2, "state": ["ill", "ill", "well"] * 40}

    data = table(columns)

    assert len(data.cached.kept) == len(set(zip(columns["age"], columns["state"], strict=True)))


def test_words_among_numbers_are_counted_or_refused(table, visits):
    columns = visits()
    columns["age"][:3] = ["unknown", "unknown", "inf"]

    assert found(table(columns), "misfits") == (
        3,
        {"column age": "3 cells of another kind, such as 'unknown'"},
    )
    with pytest.raises(UserError, match="3 cells of the numeric column 'age' are none"):
        table(columns, cleaning=TableCleaning(misfits=False))


@pytest.mark.parametrize("missing", ["", "NA", " nan "])
def test_rows_without_a_target_are_counted_or_refused(table, visits, missing):
    columns = visits()
    columns["state"][:4] = [missing] * 4

    data = table(columns)

    assert len(data.cached.kept) == 196
    assert found(data, "missing_target")[1]["visits.csv row 2"] == "no usable value of state"
    with pytest.raises(UserError, match=r"visits\.csv row 2"):
        table(columns, cleaning=TableCleaning(missing_target=False))


def test_numbers_are_learnt_as_numbers(table, visits):
    data = table(visits(), target="age", columns={"state": "categorical"})

    assert data.spec.class_names == ()
    assert data.spec.network_sizes["num_outputs"] == 1
    ages = np.array(visits()["age"])[data.part("train")]
    assert data.spec.targets["kind"] == "number"
    assert data.spec.targets["mean"] == pytest.approx(ages.mean())
    assert data.spec.targets["std"] == pytest.approx(ages.std())


def test_infinite_and_worded_numbers_are_no_targets(table, visits):
    columns = visits()
    columns["age"][:3] = ["inf", "old", None]

    data = table(columns, target="age")

    assert len(data.cached.kept) == 197
    assert np.isfinite(data.cached.targets).all()


def test_the_type_of_a_target_can_be_told(table, visits):
    columns = visits(state=[row % 5 for row in range(200)])

    assert table(columns).spec.class_names == ("0", "1", "2", "3", "4")
    assert table(columns, target_type="number").spec.targets["kind"] == "number"
    with pytest.raises(UserError, match="holds no number"):
        table(visits(), target_type="number")


def test_groups_stay_together_and_are_no_input(table, visits):
    columns = visits(patient=[f"patient {row // 4}" for row in range(200)])

    data = table(columns, group="patient")

    assert "patient" not in kinds(data)
    groups = [{row // 4 for row in data.part(part)} for part in ("train", "val", "test")]
    assert not groups[0] & groups[1]
    assert not groups[2] & (groups[0] | groups[1])


def test_a_row_without_a_group_is_left_out_and_listed(table, visits):
    columns = visits(patient=["", *(f"patient {row // 4}" for row in range(1, 200))])

    data = table(columns, group="patient")

    reason = "no usable value of state or patient"
    assert found(data, "missing_target")[1] == {"visits.csv row 2": reason}
    assert len(data.cached.kept) == 199


def test_the_latest_rows_are_the_test_part(table, visits):
    seen = [f"2024-{1 + (row * 7) % 12:02}-{1 + (row * 5) % 28:02}" for row in range(200)]

    data = table(visits(seen=seen), time="seen")

    train, val, test = (sorted(seen[row] for row in data.part(p)) for p in ("train", "val", "test"))
    assert train[-1] < val[0] <= val[-1] < test[0]
    assert 25 <= len(test) <= 50
    assert "seen" not in kinds(data)
    kept = table(visits(seen=seen), time="seen", columns={"seen": "date"})
    assert kinds(kept)["seen"] == "date"


def test_time_may_be_written_in_another_form(table, visits):
    seen = [f"{1 + row % 28:02}/{1 + row // 28:02}/2024" for row in range(200)]

    data = table(visits(seen=seen), time="seen", columns={"seen": "date:%d/%m/%Y"})

    assert data.part("test").min() > data.part("train").max()
    with pytest.raises(UserError, match=r"data\.time=seen .* categorical.*date:FORM"):
        table(visits(seen=seen), time="seen")


def test_folds_of_time_never_learn_from_later_rows(table, visits):
    days = [row // 2 for row in range(200)]

    for fold in range(4):
        data = table(visits(day=days), time="day", splitter=KFold(folds=4, fold=fold))
        assert max(data.part("train")) < min(data.part("val"))
        assert max(data.part("val")) < min(data.part("test"))
        assert len(data.part("test")) == 40


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
        with pytest.raises(UserError, match=r"'stat', which the table has not.*'state'"):
            table(**wrong)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": [], "state": []}, r"no row that can be read\. It is empty"),
        ({"age": [1, 2, 3], "state": ["", "NA", ""]}, "no cell that is not missing"),
        ({"age": range(50), "state": ["ill"] * 50}, "Every row has the target 'ill'"),
        ({"age": [1] * 50, "state": ["ill", "well"] * 25}, "No row is left"),
        ({"state": ["ill", "well"] * 25}, "no row|No column|No row"),
    ],
)
def test_hopeless_tables_are_refused(table, columns, message):
    with pytest.raises(UserError, match=message):
        table(columns)


def test_a_class_of_one_row_is_learnt_but_not_tested(table, visits):
    columns = visits()
    columns["state"][7] = "odd"

    data = table(columns)

    assert 7 in data.part("train")
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


def test_a_checkpoint_holds_all_that_reading_needs(table, visits, tmp_path, write_csv):
    data = table()
    torch.save(data.state_dict(), tmp_path / "state.pt")
    columns = visits(40)
    some = {name: columns[name] for name in ("ward", "seen", "smokes", "age")}
    path = write_csv(tmp_path / "new.csv", some)

    other = Table(name="visits", path="gone.csv", target="state")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    (inputs,) = other.read_inputs([str(path)])

    assert inputs.names[:2] == ["new.csv row 2", "new.csv row 3"]
    expected = data.dataset(data.cached)[(0, torch.arange(40))].inputs
    columns_of_training = write_csv(tmp_path / "same.csv", visits())
    (again,) = other.read_inputs([str(columns_of_training)])
    same = again.fields
    torch.testing.assert_close(same["numbers"][:40], expected["numbers"])
    assert torch.equal(same["categories"][:40], expected["categories"])
    assert other.network_inputs(inputs.fields)["numbers"].isfinite().all()


def test_bad_files_to_predict_on(table, visits, tmp_path, write_csv, caplog):
    data = table()
    columns = visits(3)
    lacking = write_csv(tmp_path / "lacking.csv", {"agee": columns["age"]})
    with pytest.raises(UserError, match=r"no column 'age'.*agee"):
        list(data.read_inputs([str(lacking)]))
    with pytest.raises(UserError, match="no row"):
        list(data.read_inputs([str(write_csv(tmp_path / "none.csv", visits(0)))]))

    odd = visits(3, age=["old", 5, 6], ward=["attic", "north", "attic"])
    (inputs,) = data.read_inputs([str(write_csv(tmp_path / "odd.csv", odd))])
    raw = inputs.fields

    assert raw["numbers"][0, 0].isnan()
    assert raw["categories"][:, 0].tolist() == [0, 1, 0]
    assert "1 cells of age count as missing, such as 'old'" in caplog.text
    assert "2 cells of ward hold what training never saw" in caplog.text


def test_impossible_values_to_predict_on_are_told(table, visits, tmp_path, write_csv, caplog):
    data = table(visits(coughs=[0, 0, 0, 1] * 50))
    odd = visits(4, age=[30, 1e9, 30, 30], coughs=[0, 0, 5000, 1e300])

    (inputs,) = data.read_inputs([str(write_csv(tmp_path / "odd.csv", odd))])
    raw = inputs.fields

    numbers = data.network_inputs(raw)["numbers"]
    assert numbers.isfinite().all()
    assert numbers.abs().max() < 10
    assert "1 cells of age are outside" in caplog.text
    assert "count as missing, such as 1e+09" in caplog.text
    assert "1 cells of coughs are outside" in caplog.text
    assert "1 cells of coughs count as missing, such as '1e+300'" in caplog.text


def test_possible_values_to_predict_on_are_not_warned_of(table, caplog):
    data = table()

    list(data.read_inputs([str(data.file.path)]))

    assert caplog.messages == []


def test_ignored_columns_are_not_read(table, visits, monkeypatch):
    read = []
    chunks = Table.chunks
    monkeypatch.setattr(
        Table, "chunks", lambda data, names: (read.append(names), chunks(data, names))[1]
    )

    table(visits(note=["x"] * 200), columns={"note": "ignored"})

    assert read
    assert not any("note" in names for names in read)


def test_other_data_have_to_fit_the_checkpoint(table, visits):
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
    with pytest.raises(UserError, match="'age' was numeric in training, and is categorical here"):
        loaded(visits(100, age=["old", "young"] * 50)).val_dataloader()

import json

import numpy as np
import pytest

from leyden.data.readers import Limits
from leyden.data.table.cells import CellFormat
from leyden.data.table.reader import TableReader

COLUMNS = {
    "age": "numeric",
    "loud": "boolean",
    "born": "date",
    "seen": "date:%d/%m/%Y %H:%M",
    "city": "categorical",
}

CITIES = ["", "Łódź", "2.5", "1000", "true"]

ROW = {"age": 3, "loud": True, "born": "2020-02-01", "seen": "31/12/2020 06:00", "city": "Łódź"}


def reader(**written):
    columns = [
        {"name": name, "kind": kind.partition(":")[0], "form": kind.partition(":")[2] or None}
        for name, kind in COLUMNS.items()
    ]
    numbers = {"centres": np.zeros(4), "low": np.full(4, -1e9), "high": np.full(4, 1e9)}
    return TableReader(
        statistics={"columns": columns, "values": {"city": CITIES}, "numbers": numbers},
        written=CellFormat(missing=("NA", "-999"), **written),
    )


def values_of(table, row):
    inputs = table.decode_rows([row])
    assert not inputs.rejected
    return [*inputs.fields["numbers"][0].tolist(), inputs.fields["categories"][0, 0]]


def test_values_are_numbers_truths_days_and_codes():
    assert values_of(reader(), ROW) == [3, 1, 7336, 7670.25, 2]
    assert reader().encode_row(reader().decode_rows([ROW]).fields, 0) == (
        ROW | {"born": "2020-02-01T00:00:00+00:00"}
    )


def test_null_and_words_for_missing_cells_are_missing():
    missing = values_of(reader(), dict.fromkeys(ROW))
    words = values_of(reader(), {**ROW, "age": -999, "born": "NA", "seen": "", "city": " NA "})

    assert np.isnan(missing[:4]).all()
    assert missing[4] == words[4] == 1
    assert np.isnan(words[0])
    assert np.isnan(words[2:4]).all()


@pytest.mark.parametrize("written", [{}, {"decimal": ",", "thousands": "."}])
@pytest.mark.parametrize("city", [2.5, 1000, 1000.0, True, "true", "TRUE", " Łódź"])
def test_categories_match_as_those_of_a_json_lines_file(tmp_path, written, city):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({**ROW, "city": city}))
    table = reader(**written)

    (of_file,) = table.read([str(path)])

    of_row = table.decode_rows([{**ROW, "city": city}])
    np.testing.assert_equal(of_row.fields, of_file.fields)
    assert of_row.fields["categories"][0, 0] > 1


def test_a_number_is_read_alike_whatever_the_other_rows_hold():
    table = reader(decimal=",", thousands=".")
    alone = table.decode_rows([{**ROW, "city": 2.5}]).fields["categories"][0]
    beside = table.decode_rows([{**ROW, "city": 2.5}, ROW]).fields["categories"][0]

    assert alone == beside == 3


def test_an_unknown_category_is_no_fault_and_other_keys_are_ignored():
    assert values_of(reader(), {**ROW, "city": "Kyoto", "price": [1]})[4] == 0


def test_names_are_compared_as_those_of_files():
    assert values_of(reader(), {f" {name}": value for name, value in ROW.items()})[4] == 2


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"age": "3"}, "age: expected a number, got a string"),
        ({"age": True}, "age: expected a number, got true or false"),
        ({"age": float("nan")}, "age: expected a number of at most 3.402823e"),
        ({"age": 10**400}, "age: expected a number of at most 3.402823e"),
        ({"age": [3]}, "age: expected a number, got an array"),
        ({"loud": 1}, "loud: expected true or false, got a number"),
        ({"born": 2020}, "born: expected a date as a string, got a number"),
        ({"born": "1 May"}, "born: expected a date such as 2020-01-31"),
        ({"seen": "2020-12-31"}, "seen: expected a date %d/%m/%Y %H:%M, got '2020-12-31'"),
        ({"city": {}}, "city: expected a string, got an object"),
        ({"city": -float("inf")}, "city: expected a number of at most"),
        ({"city": "\ud800"}, "city: holds half of a surrogate pair"),
    ],
)
def test_other_values_are_rejected_by_name(change, reason):
    inputs = reader().decode_rows([ROW, {**ROW, **change}, ROW])

    assert inputs.names == ["row 0", "row 2"]
    (item,) = inputs.rejected
    assert item.source == "row 1"
    assert item.reason.startswith(reason)


def test_a_missing_key_has_a_hint():
    (item,) = reader().decode_rows([{"agee": 3}]).rejected

    assert item.reason == "has no key 'age'. Did you mean 'agee'?"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"age,loud,born,seen,city\n" + b"1,true,,,2.5\n" * 4),
        ("a.jsonl", (json.dumps(ROW) + "\n").encode() * 4),
        ("a.json", json.dumps([ROW] * 4).encode()),
    ],
)
def test_uploads_of_more_rows_are_rejected_before_they_are_read(name, content, monkeypatch):
    table = reader()
    assert len(table.limited(Limits(rows=4)).decode_file(name, content).names) == 4
    monkeypatch.setattr(TableReader, "read", None)

    (item,) = table.limited(Limits(rows=3)).decode_file(name, content).rejected

    assert (item.source, item.reason) == (name, "has more than 3 rows; send it in pieces")


@pytest.mark.parametrize("name", ["a.json", "a.csv.gz", "a.xlsx", "a.parquet", "\0.csv", "", "/"])
def test_uploads_that_are_no_table_are_rejected_with_their_name(name):
    deep = b"[" * 100_000
    for content in (b"", deep, b"\x1f\x8b" + bytes(9), b"PAR1" + bytes(9)):
        inputs = reader().limited(Limits(rows=5)).decode_file(name, content)

        (item,) = inputs.rejected
        assert (list(inputs.names), item.source) == ([], name)
        assert "/tmp" not in item.reason


def test_the_name_of_an_upload_is_shown_with_its_rows():
    content = b"age,loud,born,seen,city\n1,true,,,2.5\n,,,\n"

    inputs = reader().decode_file("../x" * 999 + ".csv", content)

    assert [len(name) for name in inputs.names] == [255 + len(" row 2")]
    assert [item.reason for item in inputs.rejected] == ["4 cells instead of 5"]

"""JSON rows and uploads of every data set: what clients send, well-formed or not."""

import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from jsonschema_rs import Draft202012Validator, meta

from leyden.config.compose import compose, freeze
from leyden.data.inputs import join_values
from leyden.workflows.assembly import build_data

pytestmark = pytest.mark.slow  # prepares every data set

STRANGE_ROWS = [None, True, 3, 1e308, 10**400, float("nan"), "x", [], [[[]]], {}, {"": ""}]

STRANGE_VALUES = [[], [1, [2]], {}, {"a": 1}, 10**400, -(10**5000), float("inf"), "\ud800\0", "\t"]


@pytest.fixture(scope="module")
def fitted(kind):
    data = build_data(freeze(compose(kind)))
    data.prepare_data()
    data.setup()
    return data


@pytest.fixture(scope="module")
def reader(fitted):
    return fitted.reader()


@pytest.fixture(scope="module")
def values(fitted):
    return fitted.values_of(fitted.row_numbers("val")[:3])


@pytest.fixture(scope="module")
def rows(reader, values):
    return [reader.encode_row(values, row) for row in range(len(next(iter(values.values()))))]


def test_rows_are_described_by_the_schema(reader, rows):
    meta.validate(reader.row_schema)
    validator = Draft202012Validator(reader.row_schema)

    for row in json.loads(json.dumps(rows, allow_nan=False)):
        validator.validate(row)
    assert all(each["description"] for each in reader.row_schema["properties"].values())


def test_rows_have_the_values_that_they_were_encoded_from(reader, rows, values):
    inputs = reader.decode_rows(rows)

    assert inputs.names == [f"row {n}" for n in range(len(rows))]
    assert not inputs.rejected
    for field in reader.values:
        assert field.fits(inputs.fields[field.name].shape)
        assert inputs.fields[field.name].dtype == field.dtype
    if reader.kind != "text":  # cut-off tokens may be spelled by others
        np.testing.assert_equal(inputs.fields, values)
    again = [reader.encode_row(inputs.fields, row) for row in range(len(rows))]
    np.testing.assert_equal(reader.decode_rows(again).fields, inputs.fields)


def test_a_strange_row_is_rejected_alone(reader, rows):
    mixed = [rows[0], *STRANGE_ROWS, rows[-1]]

    inputs = reader.decode_rows(mixed)

    assert inputs.names == ["row 0", f"row {len(mixed) - 1}"]
    assert [item.source for item in inputs.rejected] == (
        [f"row {n}" for n in range(1, len(mixed) - 1)]
    )
    assert all(0 < len(item.reason) < 300 for item in inputs.rejected)
    assert reader.decode_rows(STRANGE_ROWS).fields == {}


def test_strange_values_are_rejected_or_described(reader, rows):
    validator = Draft202012Validator(reader.row_schema)
    for name in rows[0]:
        strange = [{**rows[0], name: value} for value in STRANGE_VALUES]
        inputs = reader.decode_rows(strange)
        for place, row in enumerate(strange):
            if not validator.is_valid(row):
                assert f"row {place}" not in inputs.names, (name, row[name])
        assert all(0 < len(item.reason) < 300 for item in inputs.rejected)


def test_a_missing_key_is_named(reader, rows):
    for name in rows[0]:
        (item,) = reader.decode_rows(
            [{key: value for key, value in rows[0].items() if key != name}]
        ).rejected
        assert item.reason.startswith(f"has no key {name!r}")


def test_uploads_that_are_no_files_of_the_kind_are_rejected(reader):
    for content in (b"", b"\0\1\2", b"\xff\xfe\xff\xff" * 50, b"\x1f\x8b\x08" + bytes(20)):
        for name in ("", "a", "../../etc/passwd", "x" * 9999 + ".csv", "a\0.parquet", "b.jsonl"):
            inputs = reader.decode_file(name, content)
            assert len(inputs.names) + len(inputs.rejected) > 0
            assert all(0 < len(item.reason) < 500 for item in inputs.rejected)
            assert not any("/tmp" in item.source + item.reason for item in inputs.rejected)


def test_requests_are_joined_to_a_batch(reader, rows):
    parts = [reader.decode_rows([row]).fields for row in rows]
    joined = join_values(reader.values, parts)
    together = reader.decode_rows(rows).fields

    np.testing.assert_equal(joined, together)


def test_threads_decode_at_once(reader, rows):
    expected = reader.decode_rows(rows)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(reader.decode_rows, [rows] * 16))

    for inputs in found:
        np.testing.assert_equal(inputs.fields, expected.fields)


def test_files_of_rows_are_read_from_memory(reader, rows):
    if not hasattr(reader, "decode"):
        pytest.skip("not a kind of files of one row each")
    (name,) = rows[0]
    whole = reader.decode_rows([rows[0]])
    content = reader.encode(whole.fields, 0)

    inputs = reader.decode_file("../a b\n", content)

    assert inputs.names == ["../a b\n"]
    np.testing.assert_equal(inputs.fields, whole.fields)
    assert rows[0][name] == b64encode(content).decode()

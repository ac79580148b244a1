"""A look at a table finds the kind of targets that the table itself has."""

import gzip

import numpy as np
import pytest

from leyden.data.table import look
from leyden.data.table.look import look_at_table
from leyden.data.table.table import Table
from leyden.errors import UserError

COLUMNS = {
    "names": ["ill", "well"] * 100,
    "numbers": np.linspace(0, 1, 200).tolist(),
    "few integers": [1, 2, 3, 2] * 50,
    "few fractions": [0.5, 1.5, 2.5, 2.5] * 50,
    "many integers": list(range(200)),
    "codes": [f"{row:03}" for row in range(100)] * 2,
    "truths": ["yes", "no", "no", "yes"] * 50,
    "dates": [f"2024-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(200)],
    "mostly numbers": ["unknown", *range(199)],
    "labels": ["a;b", "b", "a", ""] * 50,
}
SETTINGS = [
    *((name, {}) for name in COLUMNS if name != "labels"),
    ("many integers", {"target_type": "class"}),
    ("few integers", {"target_type": "number"}),
    ("few integers", {"columns": {"few integers": "numeric"}}),
    ("labels", {"label_separator": ";"}),
    (["truths", "well"], {}),
]


READ_AS = {"U": "class", "f": "number"}


@pytest.mark.parametrize(("target", "options"), SETTINGS, ids=str)
def test_the_kind_is_that_of_the_targets_that_are_read(target, options, write_csv, tmp_path):
    columns = COLUMNS | {"well": [0, 1] * 100, "age": list(range(200))}
    path = str(write_csv(tmp_path / "visits.csv", columns))
    targets = next(Table(name="visits", path=path, target=target, **options).read()).targets

    found = look_at_table({"path": path, "target": target, **options})

    assert found.target == ("labels" if targets.ndim == 2 else READ_AS[targets.dtype.kind])


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.jsonl", "a.json"])
def test_every_format_is_looked_at(name, tmp_path):
    rows = [(row, row / 7) for row in range(40)]
    text = "\n".join(["n,x", *(f"{n},{x}" for n, x in rows)])
    if "json" in name:
        text = "\n".join(f'{{"n": {n}, "x": {x}}}' for n, x in rows)
    content = text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)

    found = look_at_table({"path": str(tmp_path / name), "target": "x"})

    assert (found.target, found.reason) == ("number", "x holds 40 different numbers in 40 rows")


def test_a_large_table_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(look, "SMALL_BLOCK", 1 << 10)
    lines = [f"{row},{row / 7}" for row in range(1000)]
    (tmp_path / "a.csv").write_text("\n".join(["n,x", *lines, 'never "closed', '"']))

    found = look_at_table({"path": str(tmp_path / "a.csv"), "target": "x"})

    assert found.target == "number"
    assert int(found.reason.split()[-2]) < 200


def test_rows_may_be_longer_than_what_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(look, "SMALL_BLOCK", 64)
    names = [f"gene_{column}" for column in range(100)]
    rows = [",".join([*("0.5" for _ in names), f"{row / 7}"]) for row in range(30)]
    (tmp_path / "a.csv").write_text("\n".join([",".join([*names, "x"]), *rows]))

    assert look_at_table({"path": str(tmp_path / "a.csv"), "target": "x"}).target == "number"


def test_the_rows_that_are_looked_at_are_spread(tmp_path, monkeypatch):
    monkeypatch.setattr(look, "MOST_ROWS", 50)
    (tmp_path / "a.csv").write_text("\n".join(["x", *(str(row) for row in range(1000))]))

    found = look_at_table({"path": str(tmp_path / "a.csv"), "target": "x"})

    assert (found.target, found.reason) == ("number", "x holds 50 different numbers in 50 rows")


def test_nothing_is_known_of_a_table_that_is_missing_or_a_pipe(tmp_path):
    assert look_at_table({"path": str(tmp_path / "a.csv"), "target": "x"}).target is None
    assert look_at_table({"path": "/dev/null", "target": "x"}).target is None
    assert look_at_table({"target": "x"}).target is None


def test_a_target_that_only_looks_like_names_is_refused_at_once(tmp_path):
    lines = [f'"{row},5";1' for row in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(["x;y", *lines]))

    with pytest.raises(UserError, match="decimal"):
        look_at_table({"path": str(tmp_path / "a.csv"), "target": "x"})

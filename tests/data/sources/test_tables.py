import gzip
import json
import os
import subprocess
import sys
import threading

import pyarrow as pa
import pytest
from pyarrow import parquet

from leyden.data.sources import csv_files, json_lines
from leyden.data.sources.encodings import UNDECODABLE
from leyden.data.sources.tables import TableFile
from leyden.errors import UserError

ROWS = [
    {"id": "1", "text": "hello, world", "label": "ham"},
    {"id": "2", "text": "line\nend", "label": "spam"},
    {"id": "3", "text": 'says "hi" — ünïcode', "label": "ham"},
]


def quoted(cell):
    return '"' + cell.replace('"', '""') + '"'


def separated(separator, rows=ROWS):
    lines = [separator.join(rows[0]), *(separator.join(map(quoted, r.values())) for r in rows)]
    return ("\n".join(lines) + "\n").encode()


def write(path, rows=ROWS):
    content = {
        ".csv": lambda: separated(","),
        ".tsv": lambda: separated("\t"),
        ".jsonl": lambda: "".join(json.dumps(row) + "\n" for row in rows).encode(),
    }
    if path.suffix == ".parquet":
        parquet.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(content[path.with_suffix("").suffix]()))
    else:
        path.write_bytes(content[path.suffix]())
    return path


def read(path, columns=None, **options):
    chunks = list(TableFile(path=path, **options).chunks(columns))
    names = list(chunks[0].columns) if chunks else []
    rows = [
        dict(zip(names, row, strict=True))
        for chunk in chunks
        for row in zip(*(chunk.columns[name].to_pylist() for name in names), strict=True)
    ]
    sources = [source for chunk in chunks for source in chunk.sources]
    rejected = {item.source: item.reason for chunk in chunks for item in chunk.rejected}
    return rows, sources, rejected


@pytest.mark.parametrize(
    "name", ["a.csv", "a.csv.gz", "a.tsv", "a.tsv.gz", "a.jsonl", "a.jsonl.gz", "a.parquet"]
)
def test_every_format_gives_the_same_strings(tmp_path, name):
    path = write(tmp_path / name)

    assert TableFile(path=path).column_names() == ["id", "text", "label"]
    assert read(path)[0] == ROWS
    assert read(path, ["label", "id"])[0] == [
        {"label": row["label"], "id": row["id"]} for row in ROWS
    ]


def test_numbers_and_dates_keep_their_digits(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"n": 0.10, "big": 123456789012345678901, "is": true}\n')
    parquet.write_table(pa.table({"n": [0.1], "big": [2**60], "is": [True]}), tmp_path / "a.pq")

    assert read(tmp_path / "a.jsonl")[0] == [
        {"n": "0.10", "big": "123456789012345678901", "is": "true"}
    ]
    assert read(tmp_path / "a.pq")[0] == [{"n": "0.1", "big": str(2**60), "is": "true"}]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_detected_in_the_first_line(tmp_path, separator):
    (tmp_path / "a.csv").write_bytes(separated(separator))

    assert read(tmp_path / "a.csv")[0] == ROWS


def test_a_file_without_a_header_is_given_one(tmp_path):
    (tmp_path / "a.csv").write_text("1,x\n2,y\n")

    rows, sources, _ = read(tmp_path / "a.csv", header=("id", "name"))

    assert read(tmp_path / "a.csv", header=False)[0][0] == {"column_1": "1", "column_2": "x"}
    assert rows == [{"id": "1", "name": "x"}, {"id": "2", "name": "y"}]
    assert sources == ["a.csv row 1", "a.csv row 2"]


def test_missing_cells_are_null_but_quoted_empty_ones_are_not(tmp_path):
    (tmp_path / "a.csv").write_text('a,b\n1,\n,""\n')
    (tmp_path / "a.jsonl").write_text('{"a": "1"}\n{"b": ""}\n{"a": null}\n')

    assert read(tmp_path / "a.csv")[0] == [{"a": "1", "b": None}, {"a": None, "b": ""}]
    assert read(tmp_path / "a.jsonl")[0] == [
        {"a": "1", "b": None},
        {"a": None, "b": ""},
        {"a": None, "b": None},
    ]


def test_broken_lines_of_csv_are_reported_and_the_others_keep_their_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 64)
    lines = [f"{n},x" if n % 7 else f"{n},x,y" for n in range(2, 60)]
    (tmp_path / "a.csv").write_text("\n".join(["n,t", *lines]))

    rows, sources, rejected = read(tmp_path / "a.csv")

    assert [f"a.csv row {row['n']}" for row in rows] == sources
    assert rejected == {f"a.csv row {n}": "3 cells instead of 2" for n in range(7, 60, 7)}


def test_a_file_of_only_broken_lines_reports_all_of_them(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n1\n2\n")

    rows, _, rejected = read(tmp_path / "a.csv", ["b"])

    assert rows == []
    assert list(rejected) == ["a.csv row 2", "a.csv row 3"]


def test_broken_lines_of_json_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", 16)
    lines = [b'{"a": "1"}', b'{"a": "2"', b"[3]", b"", b'{"a": "\xff"}', rb'{"a": "\ud800"}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([*lines, b'{"a": "7"}']))

    rows, sources, rejected = read(tmp_path / "a.jsonl")

    assert (rows, sources) == ([{"a": "1"}, {"a": "7"}], ["a.jsonl row 1", "a.jsonl row 7"])
    assert list(rejected) == [f"a.jsonl row {row}" for row in (2, 3, 5, 6)]


@pytest.mark.parametrize(
    ("lines", "row"),
    [
        (['"unclosed,x', "3,y", "4,z"], 3),
        (['3,"unclosed', "4,y", "5,z"], 3),
        (["3,y", '4,"unclosed'], 4),
        (['"unclosed', "4,y", ",,"], 3),
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_quote_that_is_never_closed_is_an_error_and_hides_no_row(tmp_path, lines, row, end):
    (tmp_path / "a.csv").write_text("\n".join(["n,t", "2,x", *lines]) + end, newline="")

    with pytest.raises(UserError, match=rf"a quote in row {row} is never closed"):
        read(tmp_path / "a.csv")


def test_lines_that_a_stray_quote_joins_are_counted(tmp_path):
    (tmp_path / "a.csv").write_text('n,t\n2,x\n"3,x\n4,"y\n5,z\n')

    rows, _, rejected = read(tmp_path / "a.csv")

    assert [row["n"] for row in rows] == ["2", "5"]
    assert rejected["a.csv row 3"] == (
        "1 cells instead of 2 over 2 lines; look for a quote that is not closed"
    )


def test_nested_values_of_parquet_are_those_of_json_lines(tmp_path):
    rows = [{"list": ["x", "y"], "map": {"a": "b"}}, {"list": None, "map": None}]
    write(tmp_path / "a.jsonl", rows)
    write(tmp_path / "a.parquet", rows)

    assert read(tmp_path / "a.parquet")[0] == read(tmp_path / "a.jsonl")[0]
    assert read(tmp_path / "a.parquet")[0][0]["list"] == '["x", "y"]'


def test_bytes_in_parquet_are_decoded_row_by_row(tmp_path):
    write(tmp_path / "a.parquet", [{"t": b"gut"}, {"t": b"f\xe4llt aus"}, {"t": None}])

    rows, sources, rejected = read(tmp_path / "a.parquet")

    assert [row["t"] for row in rows] == ["gut", None]
    assert sources == ["a.parquet row 1", "a.parquet row 3"]
    assert "t is not valid utf-8; leave out columns" in rejected["a.parquet row 2"]


def test_rows_of_another_encoding_are_rejected_and_the_rest_is_read(tmp_path):
    content = "a,b\nx,gut\nx,fällt aus\nx,schön".encode("latin-1").replace(b"\xf6", "ö".encode())
    (tmp_path / "a.csv").write_bytes(content)

    rows, sources, rejected = read(tmp_path / "a.csv")

    assert [row["b"] for row in rows] == ["gut", "schön"]
    assert sources == ["a.csv row 2", "a.csv row 4"]
    assert list(rejected) == ["a.csv row 3"]
    assert "b is not valid utf-8" in rejected["a.csv row 3"]
    assert [row["b"] for row in read(tmp_path / "a.csv", encoding="latin-1")[0]][1] == "fällt aus"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_byte_order_mark_determines_the_encoding(tmp_path, name, encoding):
    path = write(tmp_path / name)
    path.write_bytes(path.read_bytes().decode().encode(encoding))

    assert read(path)[0] == ROWS


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_long_files_of_another_encoding_are_read_whole(tmp_path, encoding):
    texts = [f"{n} schöne Grüße" * 20 for n in range(3000)]
    (tmp_path / "a.csv").write_bytes("\n".join(["t", *texts]).encode(encoding))

    assert [row["t"] for row in read(tmp_path / "a.csv", encoding=encoding)[0]] == texts


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_missing_column_is_an_error_with_the_nearest_one(tmp_path, name):
    with pytest.raises(UserError, match=r"no column 'texts'. Did you mean 'text'\?"):
        read(write(tmp_path / name), ["texts"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "größe,b\n1,2\n".encode("latin-1"), "not valid utf-8.*data.encoding=cp1252"),
        ("a.csv", "年,b\n1,2\n".encode("utf-16-le"), "data.encoding=utf-16-le"),
        ("a.json", b'[{"a": 1}, {"a"', "cannot be read as a table"),
        ("a", b"PK\x03\x04\0\0", "zero bytes"),
        ("a.csv", b"", "Empty CSV file"),
        ("a.csv", b"a,a\n1,2\n", "several columns called a.*data.header=false"),
        ("a.csv", b"PK\x03\x04\0\0", "zero bytes"),
        ("a.csv.gz", b"plain", "cannot be read as a table"),
        (
            "a.csv.gz",
            gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:-20],
            "cannot be read as a table",
        ),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"a": 1}\n' * 99, mtime=0)[:-20],
            "cannot be read as a table",
        ),
        ("a.jsonl", b'[{"a": 1},\n{"a": 2}]\n', "no line of it holds a JSON object; line 1"),
        ("a.parquet", b"PAR1 and no more", "cannot be read as a table"),
        ("a.xlsx", b"", r"unknown format.*\.csv"),
        ("a.parquet.gz", b"", "unknown format"),
    ],
)
def test_files_that_are_not_tables_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UserError, match=message):
        read(tmp_path / name)


def test_a_missing_file_and_an_unknown_encoding_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.csv does not exist"):
        read(tmp_path / "nowhere.csv")
    with pytest.raises(UserError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(UserError, match="encoding=utf-9 is not an encoding"):
        read(write(tmp_path / "a.csv"), encoding="utf-9")


def test_a_table_without_rows_has_columns_and_no_chunk_of_rows(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n")

    assert TableFile(path=tmp_path / "a.csv").column_names() == ["a", "b"]
    assert read(tmp_path / "a.csv")[0] == []


def test_names_are_trimmed_as_cells_are(tmp_path):
    (tmp_path / "a.csv").write_text("a, b,Cafe\N{COMBINING ACUTE ACCENT}\n1,2,3\n")
    (tmp_path / "a.jsonl").write_text('{" b ": 2}\n{"b": 3}\n')

    assert TableFile(path=tmp_path / "a.csv").column_names() == ["a", "b", "Café"]
    assert read(tmp_path / "a.csv", ["Café", "b"])[0] == [{"Café": "3", "b": "2"}]
    assert read(tmp_path / "a.jsonl")[0] == [{"b": "2"}, {"b": "3"}]


def test_columns_without_a_name_are_numbered(tmp_path):
    (tmp_path / "a.csv").write_text(",a,\n0,x,\n1,y,z\n")
    (tmp_path / "a.jsonl").write_text('{"": 1, "a": 2}\n')

    assert read(tmp_path / "a.csv")[0][1] == {"unnamed_1": "1", "a": "y", "unnamed_3": "z"}
    assert read(tmp_path / "a.csv", ["unnamed_3"])[0] == [{"unnamed_3": None}, {"unnamed_3": "z"}]
    assert read(tmp_path / "a.jsonl")[0] == [{"unnamed_1": "1", "a": "2"}]


def test_a_header_may_hold_line_ends(tmp_path):
    (tmp_path / "a.csv").write_text('a,"b\nc"\n1,2\n3\n4,5\n')

    rows, sources, rejected = read(tmp_path / "a.csv", ["b\nc"])

    assert rows == [{"b\nc": "2"}, {"b\nc": "5"}]
    assert sources == ["a.csv row 2", "a.csv row 4"]
    assert list(rejected) == ["a.csv row 3"]


def test_comment_lines_are_not_rows(tmp_path):
    (tmp_path / "a.csv").write_text('# made by\n#x,y\na;b\n1;x\n# 2;y\n3;"z\n# no comment"\n')

    rows, sources, _ = read(tmp_path / "a.csv", comment="#")

    assert rows == [{"a": "1", "b": "x"}, {"a": "3", "b": "z\n# no comment"}]
    assert sources == ["a.csv row 2", "a.csv row 3"]


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;\r"])
def test_a_first_line_may_state_the_separator(tmp_path, first):
    (tmp_path / "a.csv").write_text(f"{first}\na,b;c\n1,5;2\n", newline="")

    rows, sources, _ = read(tmp_path / "a.csv")

    assert rows == [{"a,b": "1,5", "c": "2"}]
    assert sources == ["a.csv row 2"]


def test_a_tab_may_be_written_as_in_other_languages(tmp_path):
    (tmp_path / "a.txt").write_text("a,b\tc\n1\t2\n")

    assert read(tmp_path / "a.txt", separator=r"\t")[0] == [{"a,b": "1", "c": "2"}]
    with pytest.raises(UserError, match=r"data\.separator='\|\|'"):
        read(tmp_path / "a.txt", separator="||")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_an_array_of_objects_is_a_table(tmp_path, name):
    content = json.dumps([{"a": 1.50, "b": None}, 7, {"b": {"c": [1]}}], indent=1)
    text = content.replace("1.5", "1.50").encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)

    rows, sources, rejected = read(tmp_path / name)

    assert rows == [{"a": "1.50", "b": None}, {"a": None, "b": '{"c": ["1"]}'}]
    assert sources == [f"{name} row 1", f"{name} row 3"]
    assert rejected == {f"{name} row 2": "not a JSON object"}


def test_json_lines_may_be_called_json(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}\n{"a": 2}\n')

    assert read(tmp_path / "a.json")[0] == [{"a": "1"}, {"a": "2"}]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.csv.gz", "a.parquet"])
def test_the_format_of_a_pipe_is_detected_from_its_content(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    content = write(tmp_path / name).read_bytes()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[content])
    writer.start()

    rows, sources, _ = read(tmp_path / "pipe")
    writer.join()

    assert rows == ROWS
    assert sources[0].startswith("pipe row")


def test_cells_beside_may_come_late(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"b": 2}\n')

    (chunk,) = TableFile(path=tmp_path / "a.jsonl").chunks(["a"], beside=["b"])

    assert chunk.columns["b"].to_pylist() == [None, "2"]


def test_cells_beside_make_no_row_unreadable(tmp_path):
    (tmp_path / "a.csv").write_bytes("a,b\n1,ä\n2,x\n".encode("latin-1"))

    (chunk,) = TableFile(path=tmp_path / "a.csv").chunks(["a"], beside=["b"])

    assert chunk.columns["a"].to_pylist() == ["1", "2"]
    assert chunk.columns["b"].to_pylist() == [UNDECODABLE, "x"]


def test_a_row_that_is_malformed_and_in_another_encoding_costs_itself_alone(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n\xe4,3,4\n5,6\n\xe4,7\n8,9\n")

    chunks = list(TableFile(path=path).chunks(["a"]))

    assert [cell for chunk in chunks for cell in chunk.columns["a"].to_pylist()] == ["1", "5", "8"]
    assert sorted(item.source for chunk in chunks for item in chunk.rejected) == [
        "a.csv row 3",
        "a.csv row 5",
    ]


@pytest.mark.parametrize("name", ["rows", "rows.x"])
def test_a_missing_table_is_reported_before_its_format(tmp_path, name):
    with pytest.raises(UserError, match=f"{name} does not exist"):
        read(tmp_path / name)


GIVEN_UP = """
import io, time
from leyden.data.sources.csv_files import CsvFormat

class Slow(io.BytesIO):
    def read(self, size=-1):
        time.sleep(0.1)
        return super().read(4)

form = CsvFormat(separator=None, header=True, comment=None, block_bytes=8)
print(form.names(Slow(b"a,b\\n" + 20 * b"1,2\\n")))
"""


@pytest.mark.slow
def test_a_process_may_end_while_a_table_is_read():
    ended = subprocess.run([sys.executable, "-c", GIVEN_UP], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")

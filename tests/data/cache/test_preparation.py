import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from leyden.data.cache.preparation import Numbering, prepare
from leyden.data.cache.prepared import read_cache
from leyden.data.cleaning.steps import Cleaning
from leyden.data.rows import Ragged, RejectedItem, Rows
from leyden.errors import UserError

PREPARE = """
import sys, time
from pathlib import Path
import numpy as np
from leyden.data.cache.prepared import read_cache
from leyden.data.cleaning.steps import Cleaning
from leyden.data.cache.preparation import prepare
from leyden.data.rows import Rows

folder, journal, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])

def read():
    for chunk in range(2):
        with journal.open("a") as lines:
            lines.write(f"{chunk}\\n")
        rows = np.arange(10 * chunk, 10 * chunk + 10, dtype=np.uint8).reshape(10, 1)
        yield Rows(arrays={"x": rows}, targets=np.array(list("ab") * 5), split="all",
                   sources=[str(row) for row in range(10)])
        time.sleep(seconds)

prepare(folder, read, steps=Cleaning(), class_names=None)
cached = read_cache(folder)
print(cached.fingerprint, cached.arrays["x"].tobytes().hex())
"""


def start(folder, journal, *, seconds=0.0):
    return subprocess.Popen(
        [sys.executable, "-c", PREPARE, folder, journal, str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output_of(process):
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return out


def chunk_of(*values, targets=None, split="all", rejected=(), dtype=np.uint8):
    array = np.array(values, dtype=dtype).reshape(len(values), 1)
    return Rows(
        arrays={"x": array},
        targets=np.array(targets or list("abcdefgh")[: len(values)]),
        split=split,
        sources=[f"row {value}" for value in values],
        rejected=rejected,
    )


def prepared(folder, *chunks, class_names=None, **steps):
    steps = Cleaning(**{"max_dropped": 1.0} | steps)
    prepare(folder, lambda: chunks, steps=steps, class_names=class_names)
    return read_cache(folder)


def test_what_is_written_is_read(tmp_path):
    cached = prepared(
        tmp_path / "c",
        chunk_of(3, 5, targets=["dog", "cat"], split="train"),
        chunk_of(9, targets=["ant"], split="test"),
    )

    assert cached.arrays["x"].tolist() == [[3], [5], [9]]
    assert cached.class_names == ("ant", "cat", "dog")
    assert cached.targets.tolist() == [2, 1, 0]
    assert [rows.tolist() for rows in cached.population().given()] == [[0, 1], [], [2]]


@pytest.mark.parametrize("dtype", ["u1", "i2", "i8", "f4", "?"])
def test_rows_keep_their_dtype(tmp_path, dtype):
    cached = prepared(tmp_path / "c", chunk_of(0, 1, dtype=dtype))

    assert cached.arrays["x"].dtype == dtype
    assert cached.arrays["x"].tolist() == [[0], [1]]


def test_indices_keep_their_declared_names(tmp_path):
    cached = prepared(tmp_path / "c", chunk_of(3, 5, targets=[2, 0]), class_names=["x", "y", "z"])

    assert cached.class_names == ("x", "y", "z")
    assert cached.targets.tolist() == [2, 0]


def test_dropped_rows_are_in_the_report_and_in_no_split(tmp_path):
    torn = RejectedItem(source="torn.png", reason="empty file")

    cached = prepared(tmp_path / "c", chunk_of(3, 3, 4, targets=list("aab"), rejected=[torn]))

    report = cached.cleaning_report()
    assert cached.kept.tolist() == [0, 2]
    assert (report.items_read, report.rows_kept) == (4, 2)
    assert report.steps["unreadable"].findings == [{"source": "torn.png", "reason": "empty file"}]


def test_an_item_that_may_not_be_skipped_is_an_error_that_names_it(tmp_path):
    rows = chunk_of(3, rejected=[RejectedItem(source="torn.png", reason="empty file")])

    with pytest.raises(UserError, match=r"torn\.png cannot be read: empty file"):
        prepared(tmp_path / "c", rows, unreadable=False)

    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("rejected", "message"),
    [([], "holds no rows"), ([RejectedItem(source="a.png", reason="torn")], r"a\.png: torn")],
)
def test_a_source_without_rows_is_an_error(tmp_path, rejected, message):
    with pytest.raises(UserError, match=message):
        prepared(tmp_path / "c", chunk_of(rejected=rejected))


def test_chunks_that_differ_in_shape_are_refused(tmp_path):
    wide = Rows(arrays={"x": np.zeros((1, 2), np.uint8)}, targets=["b"], split="all", sources=["w"])

    with pytest.raises(AssertionError, match="dtype or shape"):
        prepared(tmp_path / "c", chunk_of(1), wide)


def test_a_file_name_need_not_be_unicode(tmp_path):
    rows = chunk_of(3, 3, targets=list("aa"))
    names = [os.fsdecode(b"\xff.png"), "b.png"]

    cached = prepared(
        tmp_path / "c", Rows(arrays=rows.arrays, targets=rows.targets, split="all", sources=names)
    )

    finding = cached.cleaning_report().steps["duplicates"].findings[0]
    assert finding == {"source": "b.png", "reason": f"same content as {names[0]}"}


def test_writing_to_the_mapped_array_never_changes_the_file(tmp_path):
    cached = prepared(tmp_path / "c", chunk_of(3, 5))

    cached.arrays["x"][:] = 77

    assert cached.arrays["x"].tolist() == [[77], [77]]
    assert read_cache(tmp_path / "c").arrays["x"].tolist() == [[3], [5]]


@pytest.mark.parametrize(
    "changed", [chunk_of(3, 6), chunk_of(3, 5, targets=["b", "a"]), chunk_of(5, 3)]
)
def test_other_rows_have_another_fingerprint(tmp_path, changed):
    folders = iter("abc")
    original, same, other = (
        prepared(tmp_path / next(folders), rows)
        for rows in (chunk_of(3, 5), chunk_of(3, 5), changed)
    )

    assert original.fingerprint == same.fingerprint
    assert original.fingerprint != other.fingerprint


def test_a_prepared_cache_is_not_prepared_again(tmp_path):
    prepared(tmp_path / "c", chunk_of(3))

    again = prepared(tmp_path / "c", chunk_of(4))

    assert again.arrays["x"].tolist() == [[3]]


@pytest.mark.parametrize("terminal", [True, False])
def test_terminals_show_how_many_rows_were_read(terminal, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)

    prepare(
        tmp_path / "cache",
        lambda: iter([chunk_of(1, 2), chunk_of(3)]),
        steps=Cleaning(),
        class_names=None,
    )

    shown = capsys.readouterr().err
    assert ("cleaning: 3.00row" in shown) == terminal
    assert terminal or shown == ""


def test_eight_processes_at_once_prepare_once_and_read_the_same(tmp_path):
    journal = tmp_path / "journal"

    processes = [start(tmp_path / "deep" / "c", journal, seconds=0.1) for _ in range(8)]
    outputs = {output_of(process) for process in processes}

    assert journal.read_text() == "0\n1\n"
    assert outputs == {
        f"{read_cache(tmp_path / 'deep' / 'c').fingerprint} {bytes(range(20)).hex()}\n"
    }


def test_a_process_killed_while_it_prepares_leaves_nothing_that_is_read(tmp_path):
    folder, journal = tmp_path / "c", tmp_path / "journal"
    killed = start(folder, journal, seconds=60)
    while not any(tmp_path.rglob("*.bin")):
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()

    assert not folder.exists()

    output_of(start(folder, journal))

    assert journal.read_text() == "0\n0\n1\n"
    assert read_cache(folder).arrays["x"].tobytes() == bytes(range(20))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "c.lock", "journal"]


def test_a_failed_source_leaves_nothing_that_is_read(tmp_path):
    def read():
        yield chunk_of(1)
        raise RuntimeError("the wire broke")

    with pytest.raises(RuntimeError, match="wire"):
        prepare(tmp_path / "c", read, steps=Cleaning(), class_names=None)

    assert not (tmp_path / "c").exists()
    assert prepared(tmp_path / "c", chunk_of(2)).arrays["x"].tolist() == [[2]]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(UserError, match=r"data\.cache_dir=PATH") as caught:
        prepared(tmp_path / "file" / "c", chunk_of(1))

    assert str(tmp_path / "file") in str(caught.value)


def test_rows_of_any_length_are_restored(tmp_path):
    def chunk(*rows):
        texts = Ragged.of([np.array(row, dtype=np.uint8) for row in rows], dtype=np.dtype("u1"))
        return Rows(
            arrays={"texts": texts},
            targets=np.array([str(index) for index in range(len(rows))]),
            split="all",
            sources=[str(row) for row in rows],
        )

    cached = prepared(tmp_path / "c", chunk([1, 2, 3], []), chunk([2], [1, 2, 3]))

    assert [row.tolist() for row in cached.arrays["texts"]] == [[1, 2, 3], [], [2], [1, 2, 3]]
    assert cached.cleaning_report().steps["conflicting_labels"].found == 2


def test_rows_without_values_are_restored(tmp_path):
    empty = Ragged.of([np.empty(0, np.uint8)], dtype=np.dtype("u1"))
    rows = Rows(arrays={"texts": empty}, targets=np.zeros(1), split="all", sources=["a"])

    assert [row.tolist() for row in prepared(tmp_path / "c", rows).arrays["texts"]] == [[]]


def test_target_sequences_are_kept_and_compared_but_are_not_classes(tmp_path):
    sequences = [np.array(row, np.int32) for row in ([7], [7, 8], [7], [9])]
    rows = Rows(
        arrays={"x": np.array([[1], [1], [2], [2]], np.uint8)},
        targets=np.zeros(4, np.int64),
        sequences=Ragged.of(sequences, dtype=np.dtype(np.int32)),
        split="all",
        sources=list("abcd"),
    )

    cached = prepared(tmp_path / "a", rows, class_names=())
    same = prepared(
        tmp_path / "b", replace(rows, arrays={"x": np.arange(4, dtype=np.uint8)}), class_names=()
    )

    assert [row.tolist() for row in cached.arrays["sequences"]] == [[7], [7, 8], [7], [9]]
    assert cached.targets.tolist() == [0] * 4
    assert cached.class_names == ()
    assert cached.cleaning_report().steps["conflicting_labels"].found == 4
    assert same.cleaning_report().rows_kept == 4


@pytest.mark.parametrize(
    "chunks", [(["dog", "cat"], ["ant", "dog"]), ([3, 2], [1, 2]), ([True], [False])]
)
def test_numbers_of_chunks_become_those_of_all_names_in_order(chunks):
    numbering = Numbering()

    numbers = np.concatenate([numbering.numbers(np.array(chunk)) for chunk in chunks])

    names, expected = np.unique(np.concatenate(chunks), return_inverse=True)
    assert numbering.names == [str(name) for name in names]
    assert numbering.places()[numbers].tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["0", "1", "0.0", "1.0"], ["0", "1"]),
        (["True", "FALSE", "true", "False"], ["FALSE", "True"]),
        (["1", "true", "0", "false"], ["0", "1"]),
        (["caf\u00e9", "cafe\u0301", "tea"], ["caf\u00e9", "tea"]),
        (["007", "7", "7.0"], ["007", "7"]),
    ],
)
def test_names_that_are_equal_are_one_class(names, classes):
    numbering = Numbering()

    numbers = [int(numbering.numbers(np.array([name]))[0]) for name in names]

    assert numbering.names == classes
    assert set(numbering.places()[numbers].tolist()) == set(range(len(classes)))

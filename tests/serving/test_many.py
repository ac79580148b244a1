"""Prediction of many inputs: processes, files of results, and continuing after a kill."""

import csv
import doctest
import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from leyden.config.compose import compose, freeze
from leyden.data.table.reader import TableReader
from leyden.errors import UserError
from leyden.runs.folder import RunFolder
from leyden.serving import formats, many
from leyden.serving import partial as partial_files
from leyden.serving.export import export
from leyden.serving.loading import open_export
from leyden.serving.many import PartPredictor, Prediction, RowOptions
from leyden.workflows.train import train

ROWS = 600


def write_table(path, rows=ROWS, **columns):
    """Write a table whose last columns the network does not read."""
    random = np.random.default_rng(0)
    table = {
        "age": random.integers(0, 90, rows).tolist(),
        "ward": random.choice(["north", "south", "west"], rows).tolist(),
        "note": ["=1+1"] * 100 + [""] * (rows - 100),
    } | columns
    table["state"] = np.where(np.array(table["age"]) > 45, "ill", "well").tolist()
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    path = write_table(folder / "train.csv")
    words = ["data=table", f"data.path={path}", "data.target=state", "+data.columns.note=ignored"]
    words += ["network=table_mlp", "trainer=cpu", "trainer.max_epochs=1"]
    words += ["trainer.precision=32-true"]
    train(freeze(compose(words)), RunFolder(folder / "run"))
    export(str(folder / "run"), folder / "export")
    return folder / "export"


@pytest.fixture
def predict(exported, tmp_path, monkeypatch):
    """Predict a table of six parts to a file, and return its path."""
    monkeypatch.setattr(TableReader, "rows_per_part", 100)
    table = write_table(tmp_path / "rows.csv")

    def run(name, *, inputs=table, processes=1, **options):
        options = RowOptions(form=name.rpartition(".")[2], **options)
        loaded = partial(open_export, exported, threads=1)
        prediction = Prediction(loaded, [str(inputs)], options=options, processes=processes)
        prediction.write(tmp_path / name, {})
        return tmp_path / name

    return run


@pytest.mark.parametrize("module", [many, formats])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


def test_every_format_holds_the_same_rows_in_the_order_of_the_inputs(predict):
    keep = ["note", "age"]

    table = pq.read_table(predict("a.parquet", top=2, keep=keep))
    text = predict("a.jsonl", top=2, keep=keep).read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    with predict("a.csv", top=2, keep=keep).open(newline="") as stream:
        cells = list(csv.DictReader(stream))

    assert table.schema.names == list(cells[0])
    assert [str(each) for each in table.schema.types] == (
        ["string", "string", "double", "string", "double", "string", "string"]
    )
    rows = table.to_pylist()
    assert [row["file"].rpartition(" ")[2] for row in rows] == [str(n) for n in range(2, ROWS + 2)]
    assert [row["note"] for row in rows] == ["=1+1"] * 100 + [None] * (ROWS - 100)
    assert [row["note"] for row in cells] == ["'=1+1"] * 100 + [""] * (ROWS - 100)
    assert [float(row["probability"]) for row in cells] == [row["probability"] for row in rows]
    for row, line in zip(rows, lines, strict=True):
        first, second = line["top"]
        assert line["predicted_state"] == row["predicted_state"] == first["class"]
        assert (row["predicted_state_2"], row["probability_2"]) == tuple(second.values())
        assert (line["note"], line["age"]) == (row["note"], row["age"])


def test_an_interrupted_file_continues_with_the_missing_parts(predict, monkeypatch):
    whole = predict("whole.csv").read_bytes()
    calls = []
    compute = PartPredictor.__call__

    def fail_later(self, part):
        calls.append(part)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return compute(self, part)

    monkeypatch.setattr(PartPredictor, "__call__", fail_later)
    with pytest.raises(KeyboardInterrupt):
        predict("cut.csv")
    continued = predict("cut.csv")

    assert len(calls) == 4 + 3
    assert continued.read_bytes() == whole
    assert not list(continued.parent.glob("*.partial"))


def test_findings_are_the_same_after_an_interruption(predict, tmp_path, caplog, monkeypatch):
    table = write_table(tmp_path / "odd.csv", ward=["attic", *["north"] * (ROWS - 1)])
    with table.open("a") as stream:
        stream.write("1,2\n")
    with monkeypatch.context() as patch:
        patch.setattr(partial_files.PartialFile, "publish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            predict("a.csv", inputs=table)
    monkeypatch.setattr(many.PartPredictor, "__call__", None)  # all parts are there

    with pytest.raises(UserError, match=r"odd.csv row 602 can't be read: 2 cells"):
        predict("a.csv", inputs=table)

    assert "1 cells of ward were never seen in training, such as 'attic'" in caplog.text
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1 + ROWS


def interrupt(*_):
    raise KeyboardInterrupt


def test_a_full_disk_keeps_the_parts(predict, monkeypatch, tmp_path):
    whole = predict("whole.csv").read_bytes()
    written = []
    write = partial_files.write_aside

    def fill(path):
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path)

    monkeypatch.setattr(partial_files, "write_aside", fill)
    with pytest.raises(UserError, match=r"a\.csv cannot be written: No space left.*repeat the"):
        predict("a.csv")

    assert len(list((tmp_path / "a.csv.partial").glob("*.part"))) == 2
    assert predict("a.csv").read_bytes() == whole


def test_a_file_is_written_by_one_process(tmp_path):
    first, second = (
        partial_files.PartialFile(tmp_path / "rows.csv", formats.FORMATS["csv"]) for _ in range(2)
    )

    with (
        first.held({"inputs": ""}),
        pytest.raises(UserError, match="is being written by another process"),
        second.held({"inputs": ""}),
    ):
        pass


def test_what_would_mix_or_replace_results_is_refused(predict, monkeypatch, tmp_path):
    done = predict("done.csv")
    with pytest.raises(UserError, match=r"done\.csv exists\. Remove it"):
        predict("done.csv")
    monkeypatch.setattr(partial_files.PartialFile, "publish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        predict("cut.csv")

    with pytest.raises(UserError, match=r"cut\.csv\.partial was started with other options"):
        predict("cut.csv", top=2)
    os.utime(tmp_path / "rows.csv", (1, 1))
    with pytest.raises(UserError, match=r"was started with other inputs\. .* remove the folder"):
        predict("cut.csv")
    assert done.exists()


def test_a_folder_of_someone_else_is_left_alone(predict, tmp_path):
    (tmp_path / "a.csv.partial").mkdir()
    (tmp_path / "a.csv.partial" / "notes.txt").write_text("mine")

    predict("a.csv")

    assert [path.name for path in (tmp_path / "a.csv.partial").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (["nte"], r"no column 'nte'\. Did you mean 'note'"),
        (["probability"], "columns=probability cannot be kept, because the predictions have"),
    ],
)
def test_columns_that_cannot_be_kept_are_refused(predict, tmp_path, keep, message):
    table = write_table(tmp_path / "more.csv", probability=[1] * ROWS)

    with pytest.raises(UserError, match=message):
        predict("a.csv", inputs=table, keep=keep)

    assert not (tmp_path / "a.csv.partial").exists()


def test_all_columns_may_be_kept(predict):
    with predict("a.csv", keep="all").open(newline="") as stream:
        names = next(csv.reader(stream))

    assert names == ["file", "predicted_state", "probability", "age", "ward", "note", "state"]


def test_a_column_may_become_known_in_a_later_part(predict, tmp_path):
    wards = ["attic", *[""] * 99, *["north"] * (ROWS - 100)]

    predict("a.csv", inputs=write_table(tmp_path / "late.csv", ward=wards))
    with pytest.raises(UserError, match="No cell of the column ward is known"):
        predict("b.csv", inputs=write_table(tmp_path / "never.csv", ward=["attic"] * ROWS))

    assert not (tmp_path / "b.csv").exists()


# Processes


def command(exported, table, name, *words):
    words = [f"export={exported}", f"input={table}", f"output={name}", *words]
    return [sys.executable, "-m", "leyden", "predict", *words]


def children(process):
    """List the worker processes of a process."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    pids = map(int, path.read_text().split())
    return [pid for pid in pids if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("large") / "rows.csv", rows=60_000)


@pytest.fixture(scope="module")
def undisturbed(exported, large, tmp_path_factory):
    file = tmp_path_factory.mktemp("whole") / "a.csv"
    subprocess.run(command(exported, large, file), check=True)
    return file.read_bytes()


@pytest.mark.slow
def test_two_processes_predict_the_same(exported, large, undisturbed, tmp_path):
    subprocess.run(command(exported, large, "a.csv", "processes=2"), cwd=tmp_path, check=True)

    assert (tmp_path / "a.csv").read_bytes() == undisturbed
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.slow
def test_five_kills_change_nothing(exported, large, undisturbed, tmp_path):
    parts = tmp_path / "a.csv.partial"
    words = command(exported, large, "a.csv", "processes=2")
    for kill in range(5):
        before = len(list(parts.glob("*.part")))
        with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            wait_until(lambda: len(list(parts.glob("*.part"))) > before)  # noqa: B023
            workers = children(process)
            os.kill(process.pid if kill % 2 else workers[0], signal.SIGKILL)
            err = process.stderr.read()
        assert process.returncode == (-signal.SIGKILL if kill % 2 else 2)
        if not kill % 2:
            assert "leyden: A worker process was killed" in err
            assert err.count("\n") == 1
        wait_until(lambda: not any(map(alive, workers)))  # noqa: B023
        assert not (tmp_path / "a.csv").exists()

    subprocess.run(words, cwd=tmp_path, check=True)

    assert (tmp_path / "a.csv").read_bytes() == undisturbed


@pytest.mark.slow
def test_an_interrupt_leaves_no_process(exported, large, tmp_path):
    words = command(exported, large, "a.csv", "processes=2")
    with subprocess.Popen(
        ["env", "--default-signal=INT", *words],  # which jobs in the background of a shell ignore
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_until(lambda: list(tmp_path.glob("a.csv.partial/*.part")))
        workers = children(process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        err = process.stderr.read()

    assert (process.returncode, err) == (130, "leyden: interrupted\n")
    assert workers
    assert not any(map(alive, workers))


def alive(pid):
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_images_are_predicted_in_processes(shared_run, tmp_path, leyden_process):
    random = np.random.default_rng(0)
    for name in range(300):
        pixels = random.integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name:03}.png")
    words = ("predict", f"run={shared_run}", "input=.", "format=jsonl")

    one, two = (leyden_process(*words, f"processes={n}", cwd=tmp_path) for n in (1, 2))

    assert one.code == 0, one.err
    assert two.out == one.out
    assert [json.loads(line)["file"] for line in one.out.splitlines()] == (
        [f"{name:03}.png" for name in range(300)]
    )

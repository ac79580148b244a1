"""The page as a reader gets it: what it says, and that it is harmless and needs nothing else."""

import json
import re
from html.parser import HTMLParser

from fabricated import write_crossval, write_run, write_sweep
from leyden.comparison.report.page import report
from leyden.comparison.report.study import read_study
from leyden.runs.folder import RunFolder, write_json

HOSTILE = '<script>alert("1")</script>&amp;\x1b[2J\u202eon'

VOID = {"meta"}
"""Elements of HTML without an end."""


class Reader(HTMLParser):
    """Collects the text of a page, and checks that its tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.words = [], set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def read(path):
    """Return the parsed page of the study in a folder, after checks that hold for all."""
    file = path / "report.html"
    report(read_study(path)).write(file)
    page = file.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert "script" not in reader.tags
    assert not {name for name, _ in reader.attributes if name.startswith("on")}
    assert not re.search(r"https?://|url\(|@import|src=", page.replace(HOSTILE, ""))
    reader.text = " ".join(" ".join(reader.words).split())
    return reader


def test_a_sweep(sweep):
    text = read(sweep).text
    assert "Best of 3 configs: optimizer.lr=0.01, with val/loss 0.5" in text
    assert (
        "Of the 2 others: 1 worse than the best beyond noise, 1 within noise of the best." in text
    )
    assert "The default config is at 0.5033" in text
    assert "leyden train network=mlp optimizer.lr=0.01 seed=0" in text
    assert "1,234" in text  # parameters of the network
    assert "duplicates: 3 of 4 found" in text
    assert "at most 300 MiB of main memory" in text


def test_single_runs_cannot_be_told_apart(tmp_path):
    text = read(write_sweep(tmp_path / "sweep", {0.1: [0.3], 0.2: [0.2]})).text
    assert "Each config ran once, so no difference can be told from noise." in text
    assert "The default config is not among the jobs" in text


def test_failed_jobs_have_the_line_that_failed(tmp_path):
    path = write_sweep(tmp_path / "sweep", {0.1: [0.3], 0.2: [None]})
    (path / "1_job/train.log").write_text(
        "training\nTraceback (most recent call last):\n"
        '  File "/home/me/net.py", line 12, in forward\n    return x @ y\n'
        '  File "/usr/lib/python3/site-packages/torch/x.py", line 1, in mm\n    raise\n'
        "ValueError: no\n"
    )
    text = read(path).text
    assert "1 of 2 jobs did not finish." in text
    assert "ValueError: no" in text
    assert "return x @ y" in text
    assert "/home/me/net.py:12 in forward" in text


def test_a_sweep_without_results(tmp_path):
    text = read(write_sweep(tmp_path / "sweep", {0.1: [None]})).text
    assert "Nothing was measured" in text


def test_a_run(tmp_path):
    text = read(write_run(tmp_path / "runs/cats/1", loss=0.25, warnings=["It was short."])).text
    assert "val/loss 0.25 (1 run)." in text
    assert "It was short." in text
    assert "--rerun" in text


def test_a_cross_validation(tmp_path):
    names = ("猫猫", "犬", "鳥")
    text = read(write_crossval(tmp_path / "1-crossval", [0.4, 0.5], names=names, wrong=[7])).text
    assert "test/loss 0.45 (95 % interval" in text
    assert "1 label of 60 may be wrong." in text
    assert "7.png 鳥 犬" in text  # its label, and the class that it seems to be of
    assert "Calibration error" in text
    assert "fold-1" in text


def test_rows_that_share_a_source_are_told_apart(tmp_path):
    path = write_crossval(tmp_path / "1-crossval", [0.4, 0.5], wrong=[7])
    file = path / "oof.csv"
    file.write_text(re.sub(r"^(0|1|2)\.png", "same.png", file.read_text(), flags=re.MULTILINE))
    assert "7.png cat dog" in read(path).text


def test_nothing_that_was_read_becomes_markup(tmp_path):
    path = write_sweep(tmp_path / "sweep", {HOSTILE: [0.1, 0.2], "b": [None]}, key="data.kind")
    status = RunFolder(path / "2_job").status
    write_json(status, json.loads(status.read_text()) | {"error": HOSTILE})
    (path / "2_job/train.log").write_text(
        f'Traceback (most recent call last):\n  File "{HOSTILE}", line 1, in f\n    {HOSTILE}\n'
    )
    reader = read(path)
    assert "\x1b" not in reader.text
    assert "\u202e" not in reader.text
    assert 'alert("1")' in reader.text
    read(write_crossval(tmp_path / "crossval", [0.1, 0.2], names=(HOSTILE, "b"), wrong=[1]))


def test_categories_are_text_in_any_script(tmp_path):
    path = write_sweep(tmp_path / "sweep", {"漢字": [0.1], "한글": [0.2]}, key="data.kind")
    sections = report(read_study(path)).page.sections
    parameters = next(each for each in sections if each.title == "Parameters")
    svg = parameters.blocks[1].panels["data.kind"]
    assert ">漢字</text>" in svg
    assert ">한글</text>" in svg

"""Folders may be damaged, or come from strangers: a report leaves out what it cannot read."""

import json

import pytest
import yaml

from fabricated import write_crossval, write_run, write_sweep
from leyden.comparison.report.page import report
from leyden.comparison.report.pair import report_pair
from leyden.comparison.report.study import read_study

FILES = (
    *("status.json", "provenance.json", "cleaning.json", "metrics.json", "metrics.csv"),
    *("config.yaml", "job.json", "sweep.json", "oof.csv", "folds.csv", "train.log"),
)

VALUES = (None, "x", [1], {"a": {"b": 1}})


@pytest.fixture
def folders(tmp_path):
    return [
        write_sweep(tmp_path / "sweep", {0.1: [0.3, 0.4], 0.2: [0.1, None]}),
        write_crossval(tmp_path / "crossval", [0.4, 0.5]),
        write_run(tmp_path / "run", loss=0.1),
    ]


def write_reports(folders, file):
    for folder in folders:
        study = read_study(folder)
        report(study).write(file)
        if study.kind != "sweep":
            report_pair(study, study).write(file)


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\0,\ufeff\n1,2,3"])
@pytest.mark.parametrize("name", FILES)
def test_damaged_files(folders, tmp_path, name, content):
    for folder in folders:
        for file in folder.rglob(name):
            file.write_text(content, encoding="utf-8")
    write_reports(folders, tmp_path / "report.html")


@pytest.mark.parametrize("name", FILES)
def test_files_in_another_encoding(folders, tmp_path, name):
    for folder in folders:
        for file in folder.rglob(name):
            file.write_bytes(b"\xff\xfe\x00")
    write_reports(folders, tmp_path / "report.html")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(("json", "yaml"))])
def test_values_of_another_type(folders, tmp_path, name):
    load, dump = (yaml.safe_load, yaml.safe_dump) if "yaml" in name else (json.loads, json.dumps)
    for folder in folders:
        for file in folder.rglob(name):
            content = file.read_text()
            for path in paths_of(load(content)):
                for value in VALUES:
                    file.write_text(dump(changed(load(content), path, value)))
                    write_reports([folder], tmp_path / "report.html")
            file.write_text(content)


def paths_of(node, before=()):
    """Yield the path of every key of nested mappings."""
    for key, value in node.items() if isinstance(node, dict) else ():
        yield (*before, key)
        yield from paths_of(value, (*before, key))


def changed(node, path, value):
    inner = node
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return node

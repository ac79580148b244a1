import pytest

from fabricated import write_crossval, write_run
from leyden.comparison.report.html import Table
from leyden.comparison.report.pair import pair_file, report_pair
from leyden.comparison.report.study import read_study
from leyden.errors import UserError


def rows_of(found, title):
    section = next(each for each in found.page.sections if each.title == title)
    return [row for block in section.blocks if isinstance(block, Table) for row in block.rows]


def test_two_runs(tmp_path):
    first = read_study(write_run(tmp_path / "a", loss=0.3, lr=0.1))
    second = read_study(write_run(tmp_path / "b", loss=0.2, lr=0.2, data_fingerprint="other"))
    found = report_pair(first, second)
    assert rows_of(found, "Config") == [["optimizer.lr", "0.1", "0.2"]]
    assert ["data fingerprint", "d" * 8, "other"] in rows_of(found, "Data and network")
    assert ["val/loss", "0.3", "0.2", "-0.1", "", ""] in rows_of(found, "Metrics")
    assert "which one run each cannot tell from noise" in found.text
    assert "The rows differ" in found.text
    assert "The configs differ in optimizer.lr." in found.text
    assert pair_file(first, second) == tmp_path / "a/compared-with-b.html"


def test_cross_validations_are_paired_by_fold(tmp_path):
    studies = [
        read_study(write_crossval(tmp_path / name, losses))
        for name, losses in {"a": [0.4, 0.6, 0.8], "b": [0.3, 0.52, 0.69]}.items()
    ]
    found = report_pair(*studies)
    assert "test/loss: 0.6 and 0.5033, beyond noise (p = 0.014)" in found.text


def test_sweeps_are_refused(sweep):
    study = read_study(sweep)
    with pytest.raises(UserError, match="is a sweep, and two runs can be compared"):
        report_pair(study, study)

import json

import numpy as np
import pytest

from leyden.data.cleaning.comparison import Comparison
from leyden.data.cleaning.steps import Cleaning, CleaningReport, clean, format_report
from leyden.data.rows import GIVEN_SPLITS, RejectedItem
from leyden.errors import UserError

OFF = dict.fromkeys(("conflicting_labels", "duplicates", "leakage"), False)


def digest(content):
    """Return 16 bytes that differ in the last ones; string comparisons would stop at zeros."""
    return bytes(14) + content.to_bytes(2, "big")


def cleaned(*rows, rejected=(), **steps):
    """Clean rows given as (content, target, split); each is named by its number."""
    contents, targets, splits = zip(*rows, strict=True)
    compared = Comparison(
        digests=np.frombuffer(b"".join(map(digest, contents)), dtype="V16"),
        targets=np.array(targets),
        splits=np.array([GIVEN_SPLITS.index(split) for split in splits], dtype=np.uint8),
    )
    report = clean(
        compared,
        sources=[str(row) for row in range(len(rows))],
        rejected=rejected,
        steps=Cleaning(**{"max_dropped": 1.0} | steps),
        class_names=["common", "rare"],
    )
    return np.flatnonzero(compared.keep).tolist(), report


def found_by(step, report):
    return [
        (int(finding["source"]), int(finding["reason"].split()[-1]))
        for finding in report.steps[step].findings
    ]


def test_clean_rows_all_stay():
    kept, report = cleaned((0, 0, "train"), (1, 0, "val"), (2, 1, "test"))

    assert kept == [0, 1, 2]
    assert (report.items_read, report.rows_kept) == (3, 3)
    assert all(step.enabled and step.found == 0 for step in report.steps.values())


@pytest.mark.parametrize("split", ["train", "val", "all"])
def test_rows_with_one_content_and_several_labels_are_all_dropped(split):
    kept, report = cleaned((7, 0, split), (7, 0, split), (7, 1, split), (8, 1, split))

    assert kept == [3]
    assert found_by("conflicting_labels", report) == [(0, 2), (1, 2), (2, 0)]
    assert report.steps["duplicates"].found == 0


@pytest.mark.parametrize("split", ["train", "val", "all"])
def test_the_first_of_equal_rows_stays(split):
    kept, report = cleaned((7, 1, split), (8, 1, split), (7, 1, split), (7, 1, split))

    assert kept == [0, 1]
    assert found_by("duplicates", report) == [(2, 0), (3, 0)]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("train", "val"), ("train", "test"), ("val", "test"), ("all", "val"), ("all", "test")],
)
@pytest.mark.parametrize("target", [0, 1])
def test_a_row_that_is_in_a_later_split_leaks(earlier, later, target):
    kept, report = cleaned((7, 0, earlier), (8, 0, earlier), (7, target, later))

    assert kept == [1, 2]
    assert found_by("leakage", report) == [(0, 2)]


def test_a_row_in_all_three_splits_stays_in_test_alone():
    kept, _ = cleaned((7, 0, "train"), (7, 0, "val"), (7, 0, "test"))

    assert kept == [2]


def test_a_given_test_split_is_counted_but_kept():
    kept, report = cleaned(
        (7, 0, "test"), (7, 0, "test"), (8, 0, "test"), (8, 1, "test"), (9, 0, "train")
    )

    assert kept == [0, 1, 2, 3, 4]
    assert found_by("conflicting_labels", report) == [(2, 3), (3, 2)]
    assert found_by("duplicates", report) == [(1, 0)]
    assert all(step.dropped == 0 for step in report.steps.values())


@pytest.mark.parametrize(
    ("step", "rows"),
    [
        ("conflicting_labels", [(7, 0, "train"), (7, 1, "train")]),
        ("duplicates", [(7, 0, "train"), (7, 0, "train")]),
        ("leakage", [(7, 0, "train"), (7, 0, "test")]),
    ],
)
def test_each_step_can_be_switched_off(step, rows):
    kept_on, _ = cleaned(*rows, **OFF | {step: True})
    kept_off, report = cleaned(*rows, **OFF)

    assert len(kept_on) < len(rows)
    assert kept_off == [0, 1]
    assert not report.steps[step].enabled
    assert f"{step:<18} switched off" in format_report(report)


def test_digests_compare_by_every_byte_zeros_included():
    digests = [bytes(16), bytes(15) + b"\1", b"\1" + bytes(15), b"\1\0\1" + bytes(13), bytes(16)]

    rows = Comparison(
        digests=np.frombuffer(b"".join(digests), dtype="V16"),
        targets=np.zeros(5, dtype=np.int64),
        splits=np.full(5, GIVEN_SPLITS.index("train"), dtype=np.uint8),
    )
    clean(rows, sources=list("abcde"), rejected=[], steps=Cleaning())

    assert rows.keep.tolist() == [True, True, True, True, False]


def test_nothing_is_dropped_without_a_reason():
    random = np.random.default_rng(0)
    rows = [
        (int(random.integers(40)), int(random.integers(2)), random.choice(["train", "val", "test"]))
        for _ in range(120)
    ]
    rejected = [RejectedItem(source="torn.png", reason="empty file")]

    kept, report = cleaned(*rows, rejected=rejected)

    dropped = set(range(120)).difference(kept)
    reasons = [finding for step in report.steps.values() for finding in step.findings]
    assert report.items_read == 121
    assert report.rows_kept == len(kept)
    assert report.items_read - report.rows_kept == sum(
        step.dropped for step in report.steps.values()
    )
    assert {str(row) for row in dropped} | {"torn.png"} <= {each["source"] for each in reasons}
    assert all(each["reason"] for each in reasons)
    assert all(rows[row][2] != "test" for row in dropped)


def test_the_kept_rows_are_clean():
    random = np.random.default_rng(1)
    rows = [
        (int(random.integers(40)), int(random.integers(2)), random.choice(["train", "val"]))
        for _ in range(120)
    ]

    kept, _ = cleaned(*rows)

    assert len({rows[row][0] for row in kept}) == len(kept) > 0


def test_a_report_survives_json():
    _, report = cleaned(
        (7, 0, "train"), (7, 0, "train"), rejected=[RejectedItem(source="x", reason="empty")]
    )

    assert CleaningReport.from_dict(json.loads(json.dumps(report.as_dict()))) == report


def test_the_table_counts_each_step():
    _, report = cleaned((7, 0, "train"), (7, 0, "train"), (7, 0, "test"))

    assert format_report(report).splitlines() == [
        "cleaning: 3 items read, 1 rows kept",
        "  unreadable         0 found, 0 dropped",
        "  conflicting_labels 0 found, 0 dropped",
        "  duplicates         1 found, 1 dropped",
        "  leakage            1 found, 1 dropped",
    ]


def test_a_step_that_drops_many_rows_warns_with_its_option():
    rows = [(7, 0, "train")] * 4 + [(content, 1, "train") for content in range(20, 50)]

    _, report = cleaned(*rows)

    assert report.warnings == [
        "data.cleaning.duplicates drops 3 of 34 rows, changes the share of rare from 88.2% to "
        "96.8%. cleaning.json lists the rows; data.cleaning.duplicates=false turns the step off."
    ]


def test_a_step_that_drops_a_whole_class_warns():
    rejected = [RejectedItem(source="a.wav", reason="silent", target="rare")]

    _, report = cleaned(*((content, 0, "train") for content in range(100)), rejected=rejected)

    assert "drops every row of rare" in report.warnings[0]


def test_steps_that_drop_many_rows_together_warn():
    rows = [(content, 0, "train") for content in range(93)]
    rejected = [RejectedItem(source=f"{n}.png", reason="torn") for n in range(4)]

    _, report = cleaned(*rows, *rows[:3], rejected=rejected)

    assert len(report.warnings) == 1
    assert "as a whole (unreadable 4, duplicates 3) drops 7 of 100 rows" in report.warnings[0]


def test_a_class_that_steps_drop_together_warns_though_one_drops_many_rows():
    rows = [(content, 0, "train") for content in range(90)]
    contradictory = [(0, 1, "train")]
    rejected = [RejectedItem(source="a.wav", reason="silent", target="rare")]

    _, report = cleaned(*rows, *rows[10:20], *contradictory, rejected=rejected)

    assert len(report.warnings) == 2
    assert "data.cleaning.duplicates drops 10 of 102 rows." in report.warnings[0]
    assert "as a whole" in report.warnings[1]
    assert "drops every row of rare" in report.warnings[1]


def test_dropping_few_rows_does_not_warn():
    rows = [(content, content % 2, "train") for content in range(100)]

    assert cleaned(*rows, *rows[:4])[1].warnings == []


def test_rows_of_a_given_test_split_are_not_counted():
    rows = [(content, 0, "train") for content in range(100)]
    tested = [(content, 1, "test") for content in range(200, 300)]

    _, report = cleaned(*rows, *rows[:6], *tested)

    assert "drops 6 of 106 rows." in report.warnings[0]


def test_dropping_more_than_half_is_an_error_that_names_the_step():
    rows = [(content % 40, 0, "train") for content in range(100)]

    with pytest.raises(UserError, match=r"drop 60 of 100 rows \(60 by duplicates\)") as caught:
        cleaned(*rows, max_dropped=0.5)

    assert "data.cleaning.duplicates=false" in str(caught.value)
    assert len(cleaned(*rows, max_dropped=1.0)[0]) == 40


def test_skipped_files_are_counted_but_are_not_dropped_rows():
    skipped = [
        RejectedItem(source="a.txt", reason=".txt (9)", step="skipped", dropped=False, count=9)
    ]

    _, report = cleaned((0, 0, "train"), rejected=skipped)

    assert (report.steps["skipped"].found, report.items_read) == (9, 1)
    assert report.warnings == []

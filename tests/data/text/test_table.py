import json

import numpy as np
import pytest
import torch

from leyden.batch import as_tensors
from leyden.data.text.table import TextTable
from leyden.errors import UserError

ROWS = [
    {
        "subject": f"offer {n}",
        "body": f"text {n}, " + "x" * n,
        "label": "ab"[n % 2],
        "author": n // 4,
    }
    for n in range(40)
]


def write(path, rows=ROWS):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def ready(path, **options):
    data = TextTable(
        **{"name": "table", "path": str(path), "text": "body", "target": "label", "vocab_size": 300}
        | options
    )
    data.prepare_data()
    data.setup()
    return data


def texts(data, split):
    return {data.cached.arrays["texts"][row].tobytes().decode() for row in data.row_numbers(split)}


def report(data, step):
    return data.cached.cleaning_report().steps[step]


def test_a_row_is_a_text_with_its_class(tmp_path):
    data = ready(write(tmp_path / "a.jsonl"))

    assert data.class_names == ("a", "b")
    assert len(data.cached.kept) == 40
    assert data.cached.arrays["texts"][3].tobytes().decode() == "text 3, xxx"
    assert data.cached.targets.tolist() == [0, 1] * 20


def test_columns_are_joined_for_training_and_prediction(tmp_path):
    data = ready(write(tmp_path / "a.jsonl"), text=["subject", "body"])

    (inputs,) = data.reader().read([str(write(tmp_path / "b.jsonl", ROWS[3:5]))])

    assert data.cached.arrays["texts"][3].tobytes().decode() == "offer 3\ntext 3, xxx"
    assert inputs.names == [f"{tmp_path / 'b.jsonl'} row {row}" for row in (1, 2)]
    batch = data.dataset(data.cached)[0, torch.tensor([3, 4])]
    assert np.array_equal(inputs.fields["tokens"], batch.inputs["tokens"])
    fields = data.raw_fields(as_tensors(inputs.fields))
    assert torch.equal(fields["mask"], batch.inputs["mask"])


def test_splits_may_be_files_of_their_own(tmp_path):
    data = ready(
        write(tmp_path / "train.jsonl", ROWS[:30]),
        test_path=str(write(tmp_path / "test.jsonl", ROWS[30:])),
    )

    assert texts(data, "test") == {row["body"] for row in ROWS[30:]}
    assert len(texts(data, "train") | texts(data, "val")) == 30


def test_authors_stay_in_one_split(tmp_path):
    data = ready(write(tmp_path / "a.jsonl"), group="author")

    authors = [
        set(data.cached.keys[data.row_numbers(p)].tolist()) for p in ("train", "val", "test")
    ]
    assert sum(map(len, authors)) == len(set.union(*authors)) == 10


def test_too_few_authors_to_split_are_an_error(tmp_path):
    rows = [row | {"author": "me"} for row in ROWS]

    with pytest.raises(UserError, match="Rows of one group stay together, and there are 1"):
        ready(write(tmp_path / "a.jsonl", rows), group="author")


def test_spaces_around_a_class_or_author_make_no_difference(tmp_path):
    rows = [row | {"label": f" {row['label']} ", "author": "ann "} for row in ROWS[:20]]
    rows += [row | {"author": "ann"} for row in ROWS[20:]]

    data = ready(write(tmp_path / "a.jsonl", rows))

    assert data.class_names == ("a", "b")
    with pytest.raises(UserError, match="there are 1"):
        ready(write(tmp_path / "a.jsonl", rows), group="author")


def test_the_separator_is_used_in_prediction_too(tmp_path):
    lines = [f"{row['body']}^{row['label']}" for row in ROWS]
    (tmp_path / "a.csv").write_text("\n".join(["body^label", *lines]))

    (inputs,) = ready(tmp_path / "a.csv", separator="^").reader().read([str(tmp_path / "a.csv")])

    assert len(inputs.names) == 40


def test_equal_rows_are_kept_and_share_a_split(tmp_path):
    short = [{"body": body, "label": "a"} for body in ("ok", "OK ", "yes", "thanks") * 50]
    long = [{"body": " ".join(f"word{word}" for word in range(40)), "label": "b"}] * 20
    rows = [*ROWS, *short, *long, {"body": "ok", "label": "b"}]

    data = ready(write(tmp_path / "a.jsonl", rows))

    assert len(data.cached.kept) == len(rows)
    held = [{text.strip().lower() for text in texts(data, p)} for p in ("train", "val", "test")]
    train, val, test = ({*split} - {"ok"} for split in held)  # that of two classes
    assert not (train & val | train & test | val & test)


def test_long_texts_that_are_nearly_equal_are_dropped(tmp_path):
    long = " ".join(f"word{word}" for word in range(60))
    rows = [*ROWS, {"body": long, "label": "a"}, {"body": f"{long} more", "label": "a"}]

    data = ready(write(tmp_path / "a.jsonl", rows))
    grouped = ready(
        write(tmp_path / "b.jsonl", [row | {"author": n // 2} for n, row in enumerate(rows[1:])]),
        group="author",
    )

    assert report(data, "near_duplicates").dropped == 1
    assert report(grouped, "near_duplicates").dropped == 0


def test_short_texts_of_one_author_are_not_near_duplicates(tmp_path):
    rows = [row | {"body": f"see {n}", "author": n % 5} for n, row in enumerate(ROWS)]

    data = ready(write(tmp_path / "a.jsonl", rows), group="author")

    assert len(data.cached.kept) == 40


def test_a_row_keeps_its_split_when_others_are_added(tmp_path):
    first = [{"body": "the first of all", "label": "a"}] * 3

    before = ready(write(tmp_path / "a.jsonl"))
    after = ready(write(tmp_path / "b.jsonl", [*first, *ROWS]))

    for split in ("train", "val", "test"):
        assert texts(before, split) == texts(after, split) - {"the first of all"}


def test_a_class_that_counts_as_missing_is_a_warning(tmp_path, caplog):
    rows = [row | {"label": ["None", "a", "b"][n % 3]} for n, row in enumerate(ROWS)]
    path = write(tmp_path / "a.jsonl", rows)

    data = ready(path)
    kept = ready(path, missing_cells=["nan"])

    assert data.class_names == ("a", "b")
    assert report(data, "unreadable").findings[0]["reason"] == (
        "'None' in label counts as missing, see data.missing_cells"
    )
    (warning,) = [text for text in caplog.messages if "counts as missing" in text]
    assert warning.startswith(
        "14 of 40 rows are left out because 'None' in label counts as missing."
    )
    assert kept.class_names == ("None", "a", "b")


def test_a_group_that_counts_as_missing_is_a_warning(tmp_path, caplog):
    rows = [row | {"author": n if n % 4 else "NA"} for n, row in enumerate(ROWS)]

    ready(write(tmp_path / "a.jsonl", rows), group="author")

    (warning,) = [text for text in caplog.messages if "counts as missing" in text]
    assert warning.startswith("10 of 40 rows are left out because 'NA' in author counts as")


@pytest.mark.parametrize("missing", [None, "", " "])
def test_rows_without_a_target_are_counted(tmp_path, missing):
    rows = [*ROWS, {"body": "whose?", "label": missing}, {"body": "no label at all"}]

    data = ready(write(tmp_path / "a.jsonl", rows))

    assert data.class_names == ("a", "b")
    assert report(data, "unreadable").dropped == 2
    assert report(data, "unreadable").findings[0] == {
        "source": "a.jsonl row 41",
        "reason": "has no value in label",
    }


def test_rows_without_a_text_are_counted(tmp_path):
    data = ready(write(tmp_path / "a.jsonl", [*ROWS, {"label": "a"}, {"label": "b", "body": " "}]))

    assert report(data, "empty").dropped == 2


def test_a_class_of_one_row_is_only_trained_on(tmp_path):
    data = ready(write(tmp_path / "a.jsonl", [*ROWS, {"label": "rare", "body": "lonely"}]))

    assert "lonely" in texts(data, "train")


def test_a_class_that_only_the_test_split_has_is_an_error(tmp_path):
    test = write(tmp_path / "test.jsonl", [{"label": "new", "body": "never seen"}])

    with pytest.raises(UserError, match="No training row is left of new"):
        ready(write(tmp_path / "a.jsonl"), test_path=str(test))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": "bodi"}, "no column 'bodi'. Did you mean 'body'"),
        ({"target": "lable"}, "no column 'lable'. Did you mean 'label'"),
        ({"group": "autor"}, "no column 'autor'. Did you mean 'author'"),
        ({"text": []}, "data.text names no column"),
        ({"path": "nowhere.csv"}, "nowhere.csv does not exist"),
    ],
)
def test_wrong_names_are_reported(tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        ready(**{"path": write(tmp_path / "a.jsonl")} | options)


def test_a_table_without_rows_says_so(tmp_path):
    (tmp_path / "a.csv").write_text("body,label\n")

    with pytest.raises(UserError, match="holds no rows"):
        ready(tmp_path / "a.csv")

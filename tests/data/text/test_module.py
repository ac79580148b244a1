import io
import os
from threading import Thread

import numpy as np
import pytest
import torch

from leyden.data.text.table import TextTable
from leyden.errors import UserError


@pytest.fixture
def table(tmp_path):
    rows = [f"{'cat' if n % 2 else 'dog'} number {n} {'ran ' * (n % 9)},{n % 2}" for n in range(60)]
    (tmp_path / "pets.csv").write_text("\n".join(["text,pet", *rows]))
    return tmp_path / "pets.csv"


def module(table, **options):
    given = {"name": "pets", "text": "text", "target": "pet", "vocab_size": 300, "batch_size": 8}
    return TextTable(path=str(table), **given | options)


def ready(table, **options):
    data = module(table, **options)
    data.prepare_data()
    data.setup()
    return data


def test_the_vocabulary_comes_from_the_training_split_alone(table, tmp_path):
    others = {f"{split}_path": str(tmp_path / f"{split}.csv") for split in ("val", "test")}
    for split, path in others.items():
        (tmp_path / path).write_text(f"text,pet\ndog {split},0\ncat {split},1\n")
    data = ready(table, **others)
    for path in others.values():
        (tmp_path / path).write_text(f"text,pet\nzebra {path},0\nzebra zebra {path},1\n")

    other = ready(table, cache_dir=str(tmp_path / "cache"), **others)  # which holds no vocabulary

    assert other.cached.fingerprint != data.cached.fingerprint
    assert other.statistics == data.statistics


def test_batches_hold_texts_of_similar_length(table):
    data = ready(table)

    batches = list(data.train_dataloader())

    assert all(batch.inputs["mask"].any(dim=1).all() for batch in batches)
    padding = sum((~batch.inputs["mask"]).sum() for batch in batches)
    tokens = sum(batch.inputs["mask"].numel() for batch in batches)
    assert padding < 0.2 * tokens


def test_a_checkpoint_is_enough_to_predict(table, tmp_path):
    trained = ready(table, max_tokens=4)
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    restored = module("/nowhere.csv", max_tokens=4)
    restored.load_state_dict(torch.load(file, weights_only=True))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("<b>cat</b> number 1")
    (tmp_path / "texts" / "b").write_bytes("dog".encode("utf-16"))

    texts, rows = restored.reader().read([str(tmp_path / "texts"), str(table)])
    tokens = [*texts.fields["tokens"], *rows.fields["tokens"]]
    names = [*texts.names, *rows.names]

    assert restored.spec == trained.spec
    assert [name.rpartition("/")[2] for name in names[:3]] == [
        "a.txt",
        "b",
        "pets.csv row 2",
    ]
    assert rows.fields["tokens"].shape == (60, 4)
    assert np.array_equal(tokens[0][:3], tokens[3][:3])  # row 3: cat number 1 ran


def test_a_pipe_is_an_input(table, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_text, args=["cat number 1"], daemon=True)
    writer.start()

    (inputs,) = ready(table).reader().read([str(tmp_path / "pipe")])

    writer.join()
    assert inputs.names == [str(tmp_path / "pipe")]
    assert (inputs.fields["tokens"] != 0).sum() > 1


@pytest.mark.parametrize(
    ("name", "content", "source", "reason"),
    [
        ("a.txt", b"sch\xf6n", "a.txt", "not valid utf-8"),
        ("a.txt", b" <br> ", "a.txt", "holds no text"),
        ("a.csv", b"text,pet\nx\ngood,cat\n", "a.csv row 2", "1 cells instead of 2"),
    ],
)
def test_inputs_that_cannot_be_predicted_are_rejected_with_a_reason(
    table, tmp_path, name, content, source, reason
):
    (tmp_path / name).write_bytes(content)
    (tmp_path / "b.txt").write_text("good")

    chunks = list(ready(table).reader().read([str(tmp_path / name), str(tmp_path / "b.txt")]))

    (rejected,) = (item for chunk in chunks for item in chunk.rejected)
    assert rejected.source.endswith(source)
    assert reason in rejected.reason
    assert str(tmp_path / "b.txt") in chunks[-1].names
    assert all(len(chunk.fields["tokens"]) == len(chunk.names) for chunk in chunks if chunk.names)


def test_tables_without_the_column_are_refused(table, tmp_path):
    (tmp_path / "a.csv").write_text("texts\nx\n")

    with pytest.raises(UserError, match=r"no column 'text'\. Did you mean 'texts'"):
        list(ready(table).reader().read([str(tmp_path / "a.csv")]))


def test_impossible_sizes_and_encodings_are_refused(table):
    with pytest.raises(ValueError, match="vocab_size must be at least 258"):
        module(table, vocab_size=100)
    with pytest.raises(ValueError, match="max_tokens"):
        module(table, max_tokens=0)
    with pytest.raises(UserError, match="encoding=utf-9"):
        module(table, encoding="utf-9")

import numpy as np
import pytest

from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.folder import TextFolder
from leyden.errors import UserError


def tree(root, *folders, count=10):
    for folder in folders:
        (root / folder).mkdir(parents=True)
        for number in range(count):
            (root / folder / f"{number}.txt").write_text(
                f"text {number} of {folder}: " + "x" * number
            )
    return root


def ready(root, **options):
    data = TextFolder(**{"name": "texts", "root": str(root), "vocab_size": 300} | options)
    data.prepare_data()
    data.setup()
    return data


def sources(data):
    return set((data.cached.path / "sources.txt").read_text().splitlines())


def findings(data, step):
    return {item["source"] for item in data.cached.cleaning_report().steps[step].findings}


def test_the_folders_are_the_classes(tmp_path):
    data = ready(tree(tmp_path, "ham", "spam"))

    assert data.spec.class_names == ("ham", "spam")
    assert data.spec.network_sizes["num_outputs"] == 2
    assert np.bincount(data.cached.targets).tolist() == [10, 10]
    row = sorted(sources(data)).index("spam/3.txt")
    assert data.cached.arrays["texts"][row].tobytes().decode() == "text 3 of spam: xxx"
    assert data.class_names[data.cached.targets[row]] == "spam"


def test_the_splits_that_are_given_are_kept(tmp_path):
    data = ready(tree(tmp_path, "train/a", "train/b", "test/a", "test/b"))

    assert {split: len(data.row_numbers(split)) for split in ("train", "val", "test")} == {
        "train": 18,
        "val": 2,
        "test": 20,
    }


def test_a_pattern_reads_class_and_author_and_keeps_authors_whole(tmp_path):
    for author in range(10):
        for number in range(3):
            label = "good" if author % 2 else "bad"
            (tmp_path / f"{label}_{author}_{number}.txt").write_text(f"{author} wrote {number}")

    data = ready(tmp_path, pattern=r"(?P<class>[a-z]+)_", group=r"_(\d+)_")

    assert data.class_names == ("bad", "good")
    authors = [
        set(data.cached.keys[data.row_numbers(p)].tolist()) for p in ("train", "val", "test")
    ]
    assert sum(map(len, authors)) == len(set.union(*authors)) == 10


def test_unreadable_and_empty_files_are_counted(tmp_path):
    tree(tmp_path, "ham", "spam")
    (tmp_path / "ham" / "latin.txt").write_bytes("schön".encode("latin-1"))
    (tmp_path / "ham" / "zip.txt").write_bytes(b"PK\0\0")
    (tmp_path / "ham" / "empty.txt").write_text("")
    (tmp_path / "spam" / "blank.txt").write_text("<p>&nbsp;\n</p>")

    data = ready(tmp_path)

    assert findings(data, "unreadable") == {"ham/latin.txt", "ham/zip.txt"}
    assert findings(data, "empty") == {"ham/empty.txt", "spam/blank.txt"}
    assert len(data.cached.kept) == 20


def test_an_empty_text_of_the_test_split_is_reported_but_kept(tmp_path):
    tree(tmp_path, "train/a", "train/b", "test/a", "test/b")
    (tmp_path / "test" / "a" / "empty.txt").write_text(" ")

    data = ready(tmp_path)

    assert findings(data, "empty") == {"test/a/empty.txt"}
    assert len(data.row_numbers("test")) == 21


def test_near_duplicates_are_found_across_splits(tmp_path):
    tree(tmp_path, "train/a", "train/b", "test/a", "test/b")
    words = [f"word{number}" for number in range(80)]
    (tmp_path / "train" / "a" / "near.txt").write_text(" ".join(words))
    (tmp_path / "test" / "b" / "near.txt").write_text(" ".join([*words, "more"]))

    data = ready(tmp_path)
    left = ready(tmp_path, cleaning=TextCleaning(near_duplicates=False))

    assert findings(data, "near_duplicates") == {"train/a/near.txt"}
    assert len(left.cached.kept) == len(data.cached.kept) + 1


def test_a_class_without_a_readable_text_is_an_error_that_names_it(tmp_path):
    tree(tmp_path, "ham", "spam")
    (tmp_path / "void").mkdir()
    (tmp_path / "void" / "a.txt").write_text(" ")

    with pytest.raises(UserError, match="class void"):
        ready(tmp_path)


def test_another_encoding_is_another_cache(tmp_path):
    tree(tmp_path, "ham", "spam")
    (tmp_path / "ham" / "latin.txt").write_bytes("schön".encode("latin-1"))

    assert len(ready(tmp_path).cached.kept) == 20
    assert len(ready(tmp_path, encoding="latin-1").cached.kept) == 21

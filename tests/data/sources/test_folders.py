import os
import re

import pytest

from leyden.data.sources.folders import FileType, LabelledFolder
from leyden.errors import UserError

NOTES = FileType(noun="note", suffixes=(".txt",))


def folder_of(root, *paths, **options):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return LabelledFolder(str(root), files=NOTES, **options)


def labels(folder):
    return [(file.source, file.target, file.split, file.group) for file in folder]


def test_folders_are_classes_and_splits(tmp_path):
    folder = folder_of(
        tmp_path, "train/a/2.TXT", "train/a/1.txt", "train/b/1.txt", "test/a/1.txt", "test/b/9.txt"
    )

    assert labels(folder) == [
        ("train/a/1.txt", "a", "train", None),
        ("train/a/2.TXT", "a", "train", None),
        ("train/b/1.txt", "b", "train", None),
        ("test/a/1.txt", "a", "test", None),
        ("test/b/9.txt", "b", "test", None),
    ]


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("Train", "Val", "Test"),
        ("training", "validation", "testing"),
        ("TRAIN", "dev", "eval"),
        ("train", "eval", "test"),
        ("training_set", "valid", "test_set"),
    ],
)
def test_folders_of_splits_are_recognised_in_other_spellings(tmp_path, train, val, test):
    paths = [f"{folder}/{name}/1.txt" for folder in (train, val, test) for name in "ab"]

    found = labels(folder_of(tmp_path, *paths))

    assert found == [
        (path, path.split("/")[1], split, None)
        for path, split in zip(paths, ["train"] * 2 + ["val"] * 2 + ["test"] * 2, strict=True)
    ]


@pytest.mark.parametrize("classes", [("dev", "ops"), ("eval", "run", "stop"), ("Valid", "invalid")])
def test_a_class_may_have_the_name_of_a_split_if_it_holds_files(tmp_path, caplog, classes):
    folder = folder_of(tmp_path, *(f"{name}/1.txt" for name in classes))

    assert {target for _, target, _, _ in labels(folder)} == set(classes)
    assert f"classes, not splits, because they hold no folders: {classes[0]}" in caplog.text


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["Train/a/1", "train/a/1", "test/a/1"], "Train and train, which mean the same split"),
        (["train/a/1", "val/a/1", "dev/a/1"], "dev and val, which mean the same split"),
        (["train/a/1", "eval/a/1"], "eval, which may mean val or test"),
        (["train/a/1", "val/a/1", "test/a/1", "eval/a/1"], "eval, which may mean val or test"),
        (["valid/a/1", "Testing/a/1"], "Testing, valid, which mean splits, and no training split"),
        (["cat/1", "dog/1", "test/1"], "test, which mean splits, beside 2 that do not"),
        (["cat/1", "dog/1", "Training/cat/1"], "Training, which mean splits, beside 2 that do"),
        (["train/a/1", "dev/a/1", "extra/a/1"], "dev, train, which mean splits, beside 1 that do"),
        (["a/train/1", "a/Test/1", "b/train/1"], "a holds Test and train, which mean splits"),
        (
            ["data/train/a/1", "data/test/a/1"],
            r"holds 1 sub-folders.* or give data\.root=.*/data\.",
        ),
        (["Train/1", "Testing/1"], "Train holds 0 sub-folders"),
    ],
)
def test_a_layout_of_splits_that_may_be_misread_is_refused(tmp_path, paths, message):
    with pytest.raises(UserError, match=message):
        labels(folder_of(tmp_path, *(f"{path}.txt" for path in paths)))


def test_splits_are_recognised_if_a_pattern_reads_the_class(tmp_path):
    folder = folder_of(
        tmp_path, "Training/a_1.txt", "Testing/deep/b_1.txt", pattern="(?P<class>.)_"
    )

    assert labels(folder) == [
        ("Training/a_1.txt", "a", "train", None),
        ("Testing/deep/b_1.txt", "b", "test", None),
    ]


def test_skipped_files_are_counted_by_reason(tmp_path, caplog):
    folder = folder_of(tmp_path, "a/1.txt", "b/1.txt", "a/x.MD", "a/deep/y.md", "b/LICENSE")
    folder_of(tmp_path, "labels.csv", "loose.txt", ".DS_Store", "a/.git/config", "b/odd.\n")
    os.mkfifo(tmp_path / "a/fifo.txt")
    (tmp_path / "a/device.txt").symlink_to("/dev/zero")
    (tmp_path / "a/circle").symlink_to(tmp_path / "a")

    rows = folder.report_skipped()

    assert labels(folder) == [("a/1.txt", "a", "all", None), ("b/1.txt", "b", "all", None)]
    assert {each.reason: each.source for each in rows.rejected} == {
        "not read: .md (2)": "a/x.MD",
        "not read: .csv (1)": "labels.csv",
        "not read: '.\\n' (1)": "b/odd.\n",
        "not read: without a suffix (1)": "b/LICENSE",
        "not read: hidden (2)": ".DS_Store",
        "not read: not regular files (2)": "a/device.txt",
        "not read: beside the folders that are read (1)": "loose.txt",
        "not read: links to folders that are listed already (1)": "a/circle",
    }
    assert {(each.step, each.dropped) for each in rows.rejected} == {("skipped", False)}
    assert len(rows.targets) == 0
    assert f"not read below {tmp_path}: not regular files (2), .md (2), " in caplog.text
    assert "hidden" not in caplog.text


def test_hidden_files_alone_are_no_warning(tmp_path, caplog):
    folder = folder_of(tmp_path, "a/1.txt", "b/1.txt", "a/.DS_Store")

    assert [each.reason for each in folder.report_skipped().rejected] == ["not read: hidden (1)"]
    assert not caplog.records


def test_many_suffixes_make_a_short_report(tmp_path, caplog):
    folder = folder_of(tmp_path, "a/1.txt", "b/1.txt", *(f"a/frame.{n:03}" for n in range(99)))

    assert len(folder.report_skipped().rejected) == 10
    assert "other reasons (89)" in caplog.text


def test_a_file_that_is_not_read_is_another_source(tmp_path):
    before = folder_of(tmp_path, "a/1.txt", "b/1.txt").settings()

    assert folder_of(tmp_path, "a/.hidden").settings() == before
    assert folder_of(tmp_path, "a/2.md").settings() != before


def test_a_class_without_files_names_what_it_holds(tmp_path):
    with pytest.raises(
        UserError, match=r"No note found below .*b\. Expected .*\.txt, got \.avif \(2\);"
    ):
        labels(folder_of(tmp_path, "a/1.txt", "a/1.md", "b/1.avif", "b/2.avif"))


def test_links_are_followed(tmp_path):
    folder_of(tmp_path / "else", "more/2.txt", "more/deep/3.txt", "4.txt")
    folder = folder_of(tmp_path / "root", "a/1.txt", "c/1.txt")
    (tmp_path / "root/a/more").symlink_to(tmp_path / "else/more")
    (tmp_path / "root/a/4.txt").symlink_to(tmp_path / "else/4.txt")
    (tmp_path / "root/b").symlink_to(tmp_path / "else")

    assert [file.source for file in folder] == [
        *("a/1.txt", "a/4.txt", "a/more/2.txt", "a/more/deep/3.txt"),
        *("b/4.txt", "b/more/2.txt", "b/more/deep/3.txt", "c/1.txt"),
    ]


def test_links_in_circles_end_and_keep_the_folder_s_own_path(tmp_path):
    folder_of(tmp_path, *(f"{name}/1.txt" for name in "abcdefgh"))
    for one in "abcdefgh":
        for other in "abcdefgh":
            (tmp_path / one / f"0_{other}").symlink_to(tmp_path / other)

    files = NOTES.below(tmp_path)

    assert [file.relative_to(tmp_path).as_posix() for file in files] == [
        f"{name}/1.txt" for name in "abcdefgh"
    ]


def test_dangling_links_are_listed_and_fail_when_they_are_read(tmp_path):
    folder = folder_of(tmp_path, "a/1.txt", "b/1.txt")
    (tmp_path / "a/gone.txt").symlink_to("nowhere")
    (tmp_path / "a/self.txt").symlink_to("self.txt")

    assert [file.source for file in folder] == ["a/1.txt", "a/gone.txt", "a/self.txt", "b/1.txt"]
    gone = [("a/gone.txt", 0, 0, 0), ("a/self.txt", 0, 0, 0)]
    assert folder.settings()["files"][1:3] == gone


ODD_NAMES = ["line\nend", "a=b", "-x", "tab\t", "'\"", "x" * 240, os.fsdecode(b"caf\xe9"), "é", " "]


def test_odd_names_are_listed(tmp_path):
    paths = [f"{name}/{name}.txt" for name in ODD_NAMES]

    folder = folder_of(tmp_path, *paths)

    assert {(file.source, file.target) for file in folder} == set(
        zip(paths, ODD_NAMES, strict=True)
    )


def test_a_pattern_reads_class_and_group(tmp_path):
    folder = folder_of(
        tmp_path, "x/yes_s1.txt", "no_s2.txt", pattern=r"(?P<class>[a-z]+)_(?P<group>s\d)"
    )

    assert labels(folder) == [
        ("no_s2.txt", "no", "all", "s2"),
        ("x/yes_s1.txt", "yes", "all", "s1"),
    ]


@pytest.mark.parametrize("group", [r"_(\w+)\.", r"_(?P<group>\w+)\."])
def test_groups_are_read_if_folders_are_classes(tmp_path, group):
    folder = folder_of(tmp_path, "a/1_ann.txt", "b/1_bob.txt", group=group)

    assert [file.group for file in folder] == ["ann", "bob"]


def test_groups_are_searched_in_the_path_below_the_root(tmp_path):
    folder = folder_of(tmp_path, "train/a/1.txt", "train/b/1.txt", group="^train/(.)/")

    assert [file.group for file in folder] == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "("}, "data.pattern=( is not a regular expression"),
        ({"group": "["}, "data.group=[ is not a regular expression"),
        ({"pattern": "([a-z]+)"}, "has the groups none by name"),
        ({"pattern": "(?P<group>.)"}, "has the groups group"),
        ({"pattern": "(?P<class>.)(?P<speaker>.)"}, "has the groups class, speaker"),
        ({"pattern": "(?P<class>.)(.)"}, "(?:…) for anything else"),
        ({"group": "a"}, "data.group=a has 0 groups"),
        ({"group": "(a)(b)"}, "has 2 groups"),
        ({"pattern": "(?P<class>.)(?P<group>.)", "group": "(.)"}, "Expected one of them"),
    ],
)
def test_expressions_without_the_required_groups_are_refused(tmp_path, options, message):
    with pytest.raises(UserError, match=re.escape(message)):
        folder_of(tmp_path, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "(?P<class>[a-z]+)_"}, "data.pattern=(?P<class>[a-z]+)_ finds no class in b/"),
        ({"pattern": "(?P<class>.)/.(?P<group>_?)"}, "finds no class and group in b/1.txt"),
        ({"group": "a/(.)"}, "data.group=a/(.) finds no group in b/1.txt"),
    ],
)
def test_a_file_that_an_expression_does_not_fit_is_named(tmp_path, options, message):
    folder = folder_of(tmp_path, "a/x_1.txt", "b/1.txt", **options)

    with pytest.raises(UserError, match=re.escape(message)):
        labels(folder)


def test_a_pattern_over_no_file_is_an_error(tmp_path):
    with pytest.raises(UserError, match="No note found below"):
        labels(folder_of(tmp_path, "a.png", pattern="(?P<class>.)"))


def test_another_expression_is_another_source(tmp_path):
    paths = ("a/x1.txt", "b/x1.txt")

    settings = [
        folder_of(tmp_path, *paths, group=group).settings() for group in (None, "(x)", "(1)")
    ]

    assert settings[0] != settings[1] != settings[2]


def test_files_of_any_suffix_are_listed_by_default(tmp_path):
    folder_of(tmp_path, "a/README", "a/.hidden", "a/deep/x.md", "a/.git/config")

    files = FileType(noun="text").below(tmp_path)

    assert [file.relative_to(tmp_path).as_posix() for file in files] == ["a/README", "a/deep/x.md"]


def test_inputs_are_files_or_all_below_folders(tmp_path):
    folder_of(tmp_path, "a/1.txt", "a/b/2.txt", "c.text", "empty/x.png")

    found = NOTES.inputs([f"{tmp_path}/c.text", f"{tmp_path}/a"])

    assert [file.name for file in found] == ["c.text", "1.txt", "2.txt"]
    with pytest.raises(UserError, match="does not exist"):
        NOTES.inputs([f"{tmp_path}/missing"])
    with pytest.raises(
        UserError, match=r"No note found below .*empty\. Expected .*, got \.png \(1\)"
    ):
        NOTES.inputs([f"{tmp_path}/empty"])


def test_inputs_below_a_folder_are_regular_files_and_the_rest_is_counted(tmp_path, caplog):
    folder_of(tmp_path, "1.txt", "2.md", ".hidden")
    os.mkfifo(tmp_path / "fifo.txt")

    found = NOTES.inputs([str(tmp_path), f"{tmp_path}/fifo.txt"])

    assert [file.name for file in found] == ["1.txt", "fifo.txt"]
    assert f"not read below {tmp_path}: .md (1), not regular files (1)" in caplog.text


@pytest.mark.parametrize("name", ["x" * 5000, "nul\0"])
def test_an_input_with_an_impossible_name_does_not_exist(name):
    with pytest.raises(UserError, match="does not exist"):
        NOTES.inputs([name])

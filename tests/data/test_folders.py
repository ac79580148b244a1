import re

import pytest

from leyden.data.folders import FileType, LabelledFolder
from leyden.errors import UserError

NOTES = FileType(noun="note", suffixes=(".txt",))


def folder_of(root, *paths, **options):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return LabelledFolder(str(root), files=NOTES, **options)


def labels(folder):
    return [(file.source, file.target, file.part, file.group) for file in folder]


def test_folders_are_classes_and_parts(tmp_path):
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


def test_a_pattern_reads_class_and_group(tmp_path):
    folder = folder_of(
        tmp_path, "x/yes_s1.txt", "no_s2.txt", pattern=r"(?P<class>[a-z]+)_(?P<group>s\d)"
    )

    assert labels(folder) == [
        ("no_s2.txt", "no", "all", "s2"),
        ("x/yes_s1.txt", "yes", "all", "s1"),
    ]


@pytest.mark.parametrize("group", [r"_(\w+)\.", r"_(?P<group>\w+)\."])
def test_groups_are_read_where_folders_are_classes(tmp_path, group):
    folder = folder_of(tmp_path, "a/1_ann.txt", "b/1_bob.txt", group=group)

    assert [file.group for file in folder] == ["ann", "bob"]


def test_groups_are_searched_from_the_root_on(tmp_path):
    folder = folder_of(tmp_path, "train/a/1.txt", "train/b/1.txt", group="^train/(.)/")

    assert [file.group for file in folder] == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "("}, "data.pattern=( is no regular expression"),
        ({"group": "["}, "data.group=[ is no regular expression"),
        ({"pattern": "([a-z]+)"}, "has the groups none by name"),
        ({"pattern": "(?P<group>.)"}, "has the groups group"),
        ({"pattern": "(?P<class>.)(?P<speaker>.)"}, "has the groups class, speaker"),
        ({"pattern": "(?P<class>.)(.)"}, "(?:…) for anything else"),
        ({"group": "a"}, "data.group=a has 0 groups"),
        ({"group": "(a)(b)"}, "has 2 groups"),
        ({"pattern": "(?P<class>.)(?P<group>.)", "group": "(.)"}, "Expected one of them"),
    ],
)
def test_expressions_that_can_not_label_are_refused(tmp_path, options, message):
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


def test_any_suffix_counts_where_none_is_asked_for(tmp_path):
    folder_of(tmp_path, "a/README", "a/.hidden", "a/deep/x.md", "a/.git/config")

    files = FileType(noun="text").below(tmp_path)

    assert [file.relative_to(tmp_path).as_posix() for file in files] == ["a/README", "a/deep/x.md"]


def test_inputs_are_files_or_all_below_folders(tmp_path):
    folder_of(tmp_path, "a/1.txt", "a/b/2.txt", "c.text", "empty/x.png")

    found = NOTES.inputs([f"{tmp_path}/c.text", f"{tmp_path}/a"])

    assert [file.name for file in found] == ["c.text", "1.txt", "2.txt"]
    with pytest.raises(UserError, match="does not exist"):
        NOTES.inputs([f"{tmp_path}/missing"])
    with pytest.raises(UserError, match=r"No note found below .*empty\. Expected files that end"):
        NOTES.inputs([f"{tmp_path}/empty"])

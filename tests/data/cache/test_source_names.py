import os

from leyden.data.cache.source_names import SourceNames, append_names

NAMES = ["a.png", "", "two\nlines", "\n", os.fsdecode(b"\xff.png"), "字.png"]


def test_names_with_any_characters_are_restored(tmp_path):
    file = tmp_path / "names.txt"
    ends = [*append_names(file, NAMES[:2]), *append_names(file, NAMES[2:])]

    names = SourceNames(file, ends)

    assert [names[row] for row in range(len(names))] == NAMES
    assert file.read_bytes().startswith(b"a.png\n\ntwo\n")

from pathlib import Path

import pytest

from leyden.config.yaml_lines import find_defaults, find_entry, first_comment

TEXT = """\
# @package _global_
# An option.
defaults:
  - _base
  - /loss@_global_.loss: focal
columns: {}  # kinds of columns:
             # of two lines
cleaning:    # of rows
  duplicates: true
  # not about duplicates
  url: "a#b"
augment: null
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "option.yaml"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize(
    ("key", "line", "text", "comment"),
    [
        ("columns", 6, "{}", "kinds of columns: of two lines"),
        ("cleaning", 8, "{duplicates: true, url: a#b}", "of rows"),
        ("cleaning.duplicates", 9, "true", ""),
        ("cleaning.url", 11, '"a#b"', ""),
        ("augment.flip.probability", 12, "null", ""),
    ],
)
def test_a_key_has_a_line_a_value_and_a_comment(
    key: str, line: int, text: str, comment: str, file: Path
) -> None:
    entry = find_entry(file, key.split("."))

    assert entry is not None
    assert (entry.line, entry.text, entry.comment) == (line, text, comment)


@pytest.mark.parametrize("key", ["colums", "cleaning.leakage"])
def test_a_missing_key_has_none(key: str, file: Path) -> None:
    assert find_entry(file, key.split(".")) is None


def test_choices_of_the_defaults_list(file: Path) -> None:
    assert [(group, each.line, each.value) for group, each in find_defaults(file)] == [
        ("/loss@_global_.loss", 5, "focal")
    ]


def test_the_first_comment_is_not_that_of_hydra(file: Path) -> None:
    assert first_comment(file) == "An option."
    file.write_text("lr: 0.1\n# rates\n# below\n")
    assert first_comment(file) == "rates"
    file.write_text("lr: 0.1\n")
    assert first_comment(file) == ""

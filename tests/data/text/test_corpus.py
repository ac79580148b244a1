import sysconfig
from pathlib import Path

import pytest

from leyden.data.sets.docstrings import Docstrings, docstrings
from leyden.data.text.cleaning import TextCleaning
from leyden.data.text.corpus import TextCorpus
from leyden.data.text.rows import passages
from leyden.errors import UserError


def ready(root, **options):
    data = TextCorpus(**{"name": "corpus", "root": str(root), "vocab_size": 300} | options)
    data.prepare_data()
    data.setup()
    return data


def write(path, count=60):
    path.write_text(
        "\n".join(f"line {number} of {path.name} {'la ' * number}" for number in range(count))
    )
    return path


@pytest.mark.parametrize(
    "content", ["", "a", "one\ntwo\nthree\n", "x" * 25, "ab\n" + "y" * 30 + "\nz"]
)
def test_passages_hold_all_of_a_text(content):
    pieces = list(passages(content, 10))

    assert "".join(pieces) == content
    assert all(0 < len(piece) <= 10 for piece in pieces)


def test_passages_end_with_lines_where_they_can():
    assert list(passages("one\ntwo\nthree\nfour\n", 10)) == ["one\ntwo\n", "three\n", "four\n"]


def test_texts_without_classes_are_split_at_random(tmp_path):
    options = {"passage_characters": 60, "cleaning": TextCleaning(max_dropped=1.0)}
    data = ready(write(tmp_path / "a.txt"), **options)

    assert data.spec.class_names == ()
    assert set(data.spec.network_sizes) == {"vocab_size"}
    sizes = [len(data.row_numbers(split)) for split in ("train", "val", "test")]
    assert sum(sizes) == len(data.cached.kept)
    assert min(sizes) > 0


def test_folders_are_read_whole_and_faults_are_counted(tmp_path):
    write(tmp_path / "a.txt")
    write(tmp_path / "b.md")
    (tmp_path / "c.bin").write_bytes(b"\0")

    data = ready(tmp_path, passage_characters=100)

    sources = (data.cached.path / "sources.txt").read_text().splitlines()
    assert {source.partition(" ")[0] for source in sources} == {"a.txt", "b.md"}
    assert data.cached.cleaning_report().steps["unreadable"].dropped == 1


def test_a_root_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere does not exist"):
        ready(tmp_path / "nowhere")


def test_predicted_ids_become_text(tmp_path):
    data = ready(write(tmp_path / "a.txt"))
    (inputs,) = data.reader().read([str(tmp_path / "a.txt")])

    written = data.readable({"text": [inputs.fields["tokens"][0].tolist()], "other": [1]})

    assert written["text"][0].startswith("line 0 of a.txt\nline 1 of")
    assert written["other"] == [1]


def test_docstrings_are_found_in_code():
    code = (
        b'"""Module."""\nclass A:\n    """Class."""\n    async def f(self):\n        """Fun."""\n'
    )

    assert dict(docstrings(code)) == {"module": "Module.", "A": "Class.", "f": "Fun."}


@pytest.mark.parametrize("code", [b"print 'python 2'", b"\0", b"(" * 10_000, b"-" * 100_000 + b"1"])
def test_modules_that_are_not_python_are_counted(tmp_path, code):
    words = [f"word{number} {'of ' * number}" for number in range(40)]
    for number, text in enumerate(words):
        (tmp_path / f"m{number}.py").write_text(f'"""A module: {text}"""')
    (tmp_path / "broken.py").write_bytes(code)

    data = Docstrings(name="docstrings", root=str(tmp_path), vocab_size=300)
    data.prepare_data()

    data.setup()
    (found,) = data.cached.cleaning_report().steps["unreadable"].findings
    assert found["source"] == "broken.py"


def test_the_docstrings_of_a_module_stay_in_one_split():
    library = Path(sysconfig.get_path("stdlib"))
    data = Docstrings(
        name="docstrings",
        root=str(library / "email"),
        vocab_size=300,
        cleaning=TextCleaning(near_duplicates=False),
    )
    data.prepare_data()
    data.setup()

    modules = [
        set(data.cached.keys[data.row_numbers(split)].tolist())
        for split in ("train", "val", "test")
    ]
    assert Docstrings(name="docstrings").root == library
    assert len(data.cached.kept) > 100
    assert sum(map(len, modules)) == len(set.union(*modules))

import numpy as np
import pytest

from leyden.data import parts
from leyden.data.inputs import flag_last, join_values
from leyden.data.parts import CellCounts, FilePart, file_parts, table_parts
from leyden.data.readers import read_files
from leyden.data.rows import UnreadableError
from leyden.data.sources.tables import TableFile
from leyden.schema import Field


def read(_, path):
    if not path.stat().st_size:
        raise UnreadableError("empty file")
    return path.read_text()


def joined(texts):
    return {"lengths": np.array([len(text) for text in texts])}


def files(folder, *texts):
    for number, text in enumerate(texts):
        (folder / str(number)).write_text(text)
    return sorted(folder.iterdir())


def read_all(paths):
    return read_files(FilePart(files=paths), read, joined)


def test_files_are_divided_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "FILES_PER_PART", 2)
    paths = files(tmp_path, "a", "bb", "ccc")

    assert [part.files for part in file_parts(paths)] == [paths[:2], paths[2:]]


def test_the_last_part_is_known():
    assert list(flag_last([1, 2, 3])) == [(1, False), (2, False), (3, True)]
    assert list(flag_last([])) == []


@pytest.mark.parametrize("size", [1, 2, 5])
def test_rows_of_a_table_are_divided_with_what_is_kept(tmp_path, size):
    (tmp_path / "a.csv").write_text("a,b,c\n1,x,\n2,y,q\n1,2\n3,z,r\n")

    some = list(table_parts(TableFile(path=tmp_path / "a.csv"), ["a"], keep=["c"], size=size))

    chunks = [part.chunk() for part in some]
    assert [cell for chunk in chunks for cell in chunk.columns["a"].to_pylist()] == ["1", "2", "3"]
    kept = [part.kept(chunk)["c"] for part, chunk in zip(some, chunks, strict=True)]
    assert [cell for cells in kept for cell in cells] == [None, "q", "r"]
    assert [name[-1] for chunk in chunks for name in chunk.sources] == ["2", "3", "5"]
    assert [item.source[-1] for chunk in chunks for item in chunk.rejected] == ["4"]


def test_counts_of_parts_add_up():
    later = CellCounts(known=1, unknown=2, example="x", beyond=1, extreme=0.0)

    assert CellCounts(known=1) + later + CellCounts(unknown=1, example="y", extreme=5.0) == (
        CellCounts(known=2, unknown=3, example="x", beyond=1, extreme=0.0)
    )


def test_unreadable_files_are_named_and_the_others_are_read(tmp_path):
    chunk = read_all(files(tmp_path, "a", "", "ccc"))

    assert chunk.names == [str(tmp_path / "0"), str(tmp_path / "2")]
    assert chunk.fields["lengths"].tolist() == [1, 3]
    assert [(each.source, each.reason) for each in chunk.rejected] == (
        [(str(tmp_path / "1"), "empty file")]
    )


def test_a_file_that_is_given_twice_has_two_rows(tmp_path):
    (file,) = files(tmp_path, "bb")

    chunk = read_all([file, file])

    assert chunk.names == [str(file), str(file)]
    assert chunk.fields["lengths"].tolist() == [2, 2]


def test_nothing_is_joined_if_no_file_can_be_read(tmp_path):
    chunk = read_all(files(tmp_path, ""))

    assert (chunk.names, chunk.fields, len(chunk.rejected)) == ([], {}, 1)


def test_values_of_other_lengths_are_padded_with_zeros():
    field = Field(name="x", dtype="int64", shape=("batch", "length", 2), meaning="")
    parts = [{"x": np.full((rows, length, 2), rows)} for rows, length in ((1, 3), (2, 1))]

    joined = join_values([field], parts)["x"]

    assert joined[..., 0].tolist() == [[1, 1, 1], [2, 0, 0], [2, 0, 0]]
    assert joined.dtype == np.int64
    assert join_values([field], []) == {}

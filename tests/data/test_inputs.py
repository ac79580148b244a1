import numpy as np
import torch

from leyden.data import inputs
from leyden.data.inputs import join_values, read_files
from leyden.data.rows import UnreadableError
from leyden.schema import Field


def read(path):
    if not path.stat().st_size:
        raise UnreadableError("empty file")
    return path.read_text()


def joined(texts):
    return {"lengths": torch.tensor([len(text) for text in texts])}


def files(folder, *texts):
    for number, text in enumerate(texts):
        (folder / str(number)).write_text(text)
    return sorted(folder.iterdir())


def test_files_are_read_a_chunk_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "FILES_PER_CHUNK", 2)
    read_so_far = []
    chunks = read_files(
        files(tmp_path, "a", "bb", "ccc"),
        lambda path: read_so_far.append(path) or read(path),
        joined,
    )

    first = next(chunks)

    assert len(read_so_far) == 2
    assert first.fields["lengths"].tolist() == [1, 2]
    assert [chunk.fields["lengths"].tolist() for chunk in chunks] == [[3]]


def test_unreadable_files_are_named_and_the_others_are_read(tmp_path):
    (chunk,) = read_files(files(tmp_path, "a", "", "ccc"), read, joined)

    assert chunk.names == [str(tmp_path / "0"), str(tmp_path / "2")]
    assert chunk.fields["lengths"].tolist() == [1, 3]
    assert [(each.source, each.reason) for each in chunk.rejected] == (
        [(str(tmp_path / "1"), "empty file")]
    )


def test_a_file_that_is_given_twice_has_two_rows(tmp_path):
    (file,) = files(tmp_path, "bb")

    (chunk,) = read_files([file, file], read, joined)

    assert chunk.names == [str(file), str(file)]
    assert chunk.fields["lengths"].tolist() == [2, 2]


def test_nothing_is_joined_if_no_file_can_be_read(tmp_path):
    (chunk,) = read_files(files(tmp_path, ""), read, joined)

    assert (chunk.names, chunk.fields, len(chunk.rejected)) == ([], {}, 1)


def test_values_of_other_lengths_are_padded_with_zeros():
    field = Field(name="x", dtype="int64", shape=("batch", "length", 2), meaning="")
    parts = [{"x": np.full((rows, length, 2), rows)} for rows, length in ((1, 3), (2, 1))]

    joined = join_values([field], parts)["x"]

    assert joined[..., 0].tolist() == [[1, 1, 1], [2, 0, 0], [2, 0, 0]]
    assert joined.dtype == np.int64
    assert join_values([field], []) == {}
